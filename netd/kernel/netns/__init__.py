"""Network namespaces: entering, naming, mounting and watching them."""
