"""The command line: one file per verb. Each only parses, prints and sets the exit status."""
