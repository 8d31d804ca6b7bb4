"""Patterns in names and strings, `{A..B}` and `{n}`: from tables as they are written to tables as they are meant."""
