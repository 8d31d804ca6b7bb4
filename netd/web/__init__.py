"""``netd web``: the page. A process of its own, in the group netd, that only reads what the daemon tells."""
