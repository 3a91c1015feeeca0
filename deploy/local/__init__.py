"""The real servers, from package registries, on this machine: for the tests and for `make cluster`."""
