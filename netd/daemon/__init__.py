"""The daemon: one asyncio loop from wake-ups to passes to reports. Only here and in ``report`` is systemd known."""
