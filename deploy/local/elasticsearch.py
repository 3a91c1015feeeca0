"""Elasticsearch 7.17, the newest whose parts are on Maven Central."""

from __future__ import annotations

from deploy.local.search_node import SearchNode


class Elasticsearch(SearchNode):
    """Without painless, ingest pipelines, ILM, data streams and security, which are not on Maven Central.

    Of the module analysis-common it has the char filter `mapping` and the tokenizer `simple_pattern`.
    """

    name = "elasticsearch"
    jars_name = "elasticsearch"
    main = "ElasticsearchNode"
