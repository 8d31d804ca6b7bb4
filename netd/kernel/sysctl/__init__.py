"""/proc/sys/net of a namespace: reading, writing, watching."""
