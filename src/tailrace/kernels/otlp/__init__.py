"""OTLP log records, JSON and protobuf, to Arrow buffers."""
