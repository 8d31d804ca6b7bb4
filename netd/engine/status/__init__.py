"""The state of each object between passes: the table, backoff, diagnostics."""
