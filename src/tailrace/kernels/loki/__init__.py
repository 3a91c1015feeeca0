"""Loki pushes, JSON and protobuf, to Arrow buffers."""
