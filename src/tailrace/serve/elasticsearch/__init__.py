"""Elasticsearch's HTTP API, as far as programs need it that send logs there, or read them.

bulk_routes     events in: `_bulk`, `_doc`, `_create`
probe_routes    what those programs ask before they send, and the answers that let them go on
search_routes   events out: `_search`, `_msearch`, `_count`, `_field_caps`, `_mapping`
search          one search: hits, and aggregations (`aggregation_tree`, `aggregate`, `completed`)
answers         what all answers have in common
"""
