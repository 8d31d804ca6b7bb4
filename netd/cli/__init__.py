"""The command line: one file per verb. Each parses, prints and sets the exit status, nothing more."""
