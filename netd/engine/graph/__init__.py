"""What depends on what: links, namespaces, and MTUs that follow their segment."""
