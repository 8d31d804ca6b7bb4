"""One file by itself: text to tables to declared objects."""
