"""OpenSearch 2.19."""

from __future__ import annotations

from deploy.local.search_node import SearchNode


class OpenSearch(SearchNode):
    """With the modules of the distribution's core, without its bundled plugins (security, index management)."""

    name = "opensearch"
    jars_name = "opensearch"
    main = "OpenSearchNode"
