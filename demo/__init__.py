"""netd shown at work, in namespaces of its own: ``python -m demo``."""
