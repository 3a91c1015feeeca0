"""Elasticsearch's HTTP API, as far as programs need it that send logs there.

bulk_routes     events in: `_bulk`, `_doc`, `_create`
probe_routes    what those programs ask before they send, and the answers that let them go on
answers         what all answers have in common
"""
