"""Desired against observed: one decision per object."""
