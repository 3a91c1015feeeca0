"""JSON events, one a line or in an array, to Arrow buffers."""
