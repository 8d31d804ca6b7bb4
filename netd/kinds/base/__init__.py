"""What every kind is built from: the interface to the engine, value types, NAT and accept rules."""
