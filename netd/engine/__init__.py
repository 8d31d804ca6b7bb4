"""Compares, plans, executes, verifies. Knows no kind by name."""
