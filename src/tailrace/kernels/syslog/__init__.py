"""Syslog streams to messages, and messages to Arrow buffers."""
