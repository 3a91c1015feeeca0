"""Steps on the way: what is done to events between their decoding and the stores, as a file of the operator says.

A pipeline is a list of steps, each a pure function of a batch. Nothing here reads a log or writes a store; the
gateway and the worker call `pipeline.Pipeline`. `docs/pipeline.md` shows every step.
"""
