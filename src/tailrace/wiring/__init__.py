"""The one place that makes adapters from settings, starts them in order and stops them in reverse.

opening    what all roles share: an exit stack, the metrics, the clock
log        which log, and the dead letters and claims that go with it
stores     which stores, and which of them answers queries
hot        where the newest events are
roles      gateway, worker, api, and all of them in one process
"""
