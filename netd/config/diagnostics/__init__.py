"""Errors with file, line, column and the source line, in TOML's own words."""
