"""The state of the kernel as tables of netd's files: the reverse of ``Kind.declare``, for ``netd import``.

Each module writes tables of one sort into a ``Draft``. What no table can say becomes a comment with its reason.
"""
