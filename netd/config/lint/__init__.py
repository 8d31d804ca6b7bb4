"""Warnings, and what the kernel always refuses: found before anything is touched."""
