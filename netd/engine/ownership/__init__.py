"""What is netd's own: decision rules, the ledger's upkeep, orphans, namespaces whose target changed."""
