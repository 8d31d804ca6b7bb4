"""What commands show: rows first, then the form for a terminal or for a pipe. rich is imported for a terminal only."""
