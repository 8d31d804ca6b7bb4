"""Tells people and systemd what happens: the log, the status socket, sd_notify."""
