"""All files together: one object for what several declare, clashes, gateways."""
