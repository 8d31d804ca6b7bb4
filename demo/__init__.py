"""A demonstration of netd in its own namespaces: ``python -m demo``."""
