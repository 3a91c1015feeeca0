"""MessagePack of the Forward protocol to JSON lines."""
