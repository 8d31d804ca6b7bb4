"""What `netd test` does: each check tried from its namespace, side by side, until it is as expected."""
