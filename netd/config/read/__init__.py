"""Which files count, what they hold, and the last good copy of each."""
