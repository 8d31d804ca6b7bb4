"""`[[check]]`: what `netd test` tries. Checks are no objects: nothing is built of them, and the daemon ignores them."""
