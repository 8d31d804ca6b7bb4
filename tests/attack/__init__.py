"""Attacks: each tries to make one thing that netd reads, serves or waits for cost what it has nothing to do with."""
