"""`TailraceHandler`: the log records of an application go to a Tailrace server, without ever holding it up.

    logging.getLogger().addHandler(TailraceHandler("http://127.0.0.1:8001", service="checkout"))

Nothing but the standard library is imported here, so that applications can afford it.

    emit ──> queue (memory, bounded) ──> sender thread ──> POST /logs
                 └── half full, or the server is away ──> spool (disk, bounded) ──┘
"""

from tailrace.handler.counters import Counters
from tailrace.handler.handler import TailraceHandler

__all__ = ["Counters", "TailraceHandler"]
