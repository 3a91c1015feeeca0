"""The shop whose logs the demo writes: its services, what they say at which level, and how calls go through it.

In a message, `{name}` stands for a value made for each event:
ms (latency), user, order, sku, n (a small count), bytes, status (HTTP), ip, path, id (hexadecimal), amount, percent.
"""

from __future__ import annotations

from dataclasses import dataclass

SERVICES = (
    "edge-gateway",
    "web",
    "auth",
    "profile",
    "catalog",
    "search",
    "cart",
    "checkout",
    "payments",
    "inventory",
    "shipping",
    "notifications",
)

REGIONS = ("eu-central-1", "eu-west-1", "us-east-1", "ap-south-1")

PATHS = (
    "/",
    "/login",
    "/logout",
    "/api/cart",
    "/api/cart/items",
    "/api/checkout",
    "/api/products",
    "/api/products/search",
    "/api/profile",
    "/api/orders",
    "/api/orders/history",
    "/static/app.js",
    "/healthz",
)

ROUTES = (
    ("edge-gateway", "web", "catalog", "search"),
    ("edge-gateway", "web", "catalog", "inventory"),
    ("edge-gateway", "web", "auth", "profile"),
    ("edge-gateway", "web", "cart", "inventory"),
    ("edge-gateway", "checkout", "payments", "notifications"),
    ("edge-gateway", "checkout", "inventory", "shipping"),
    ("edge-gateway", "web", "search", "catalog"),
    ("edge-gateway", "auth", "profile", "notifications"),
)
"""Which services a request goes through, in order; all of one length."""


@dataclass(frozen=True, slots=True)
class Template:
    service: str
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What an exception leaves in an event."""

    kind: str
    message: str
    stacktrace: str


def _of(service: str, **texts: tuple[str, ...]) -> list[Template]:
    return [Template(service, level, text) for level, said in texts.items() for text in said]


TEMPLATES: tuple[Template, ...] = (
    *_of(
        "edge-gateway",
        TRACE=("routing table looked up for {path}",),
        DEBUG=("upstream chosen for {path} in {ms} ms", "connection {id} kept alive"),
        INFO=("GET {path} {status} {ms} ms {bytes} B", "POST {path} {status} {ms} ms", "connection from {ip} closed"),
        WARN=("rate limit near for {ip}: {percent}%", "slow upstream for {path}: {ms} ms"),
        ERROR=("upstream reset on {path} after {ms} ms", "{status} from upstream for {path}"),
        FATAL=("TLS certificate has expired, no traffic is accepted",),
    ),
    *_of(
        "web",
        TRACE=("template cache hit for {path}",),
        DEBUG=("rendered {path} in {ms} ms", 'locale "en_GB" chosen for user {user}'),
        INFO=("page {path} served to user {user} in {ms} ms", "user {user} opened {path}"),
        WARN=("session of user {user} ends in {n} s", "asset {path} not in cache"),
        ERROR=("rendering {path} failed for user {user}", "hydration mismatch on {path}"),
        FATAL=("worker {n} ran out of memory",),
    ),
    *_of(
        "auth",
        TRACE=("claims checked for user {user}",),
        DEBUG=("token {id} verified in {ms} ms", "key set refreshed, {n} keys"),
        INFO=("user {user} logged in from {ip}", "user {user} logged out", "token renewed for user {user}"),
        WARN=("{n} failed logins for user {user} from {ip}", "token {id} expired"),
        ERROR=("login failed for user {user}: directory timeout after {ms} ms", "signature of token {id} is invalid"),
        FATAL=("signing key is missing, no tokens can be issued",),
    ),
    *_of(
        "profile",
        TRACE=("row read for user {user}",),
        DEBUG=("profile of user {user} loaded in {ms} ms",),
        INFO=("profile of user {user} updated", "avatar of user {user} stored, {bytes} B"),
        WARN=("stale profile served for user {user}",),
        ERROR=("deadlock on profile of user {user}, retry {n}", "profile of user {user} cannot be read"),
        FATAL=("replica lost, {n} reads failed",),
    ),
    *_of(
        "catalog",
        TRACE=("price rule applied to {sku}",),
        DEBUG=("{sku} read from cache", "{n} products loaded in {ms} ms"),
        INFO=(
            "product {sku} viewed by user {user}",
            "price of {sku} is now {amount}",
            "catalog page sent in {ms} ms",
        ),
        WARN=("image of {sku} is missing", "cache hit rate down to {percent}%"),
        ERROR=("product {sku} not found", "price service did not answer in {ms} ms"),
        FATAL=("catalog database is read-only",),
    ),
    *_of(
        "search",
        TRACE=("segment {n} scanned",),
        DEBUG=("query {id} parsed", "{n} shards asked in {ms} ms"),
        INFO=("search returned {n} hits in {ms} ms", "suggestions sent to user {user} in {ms} ms"),
        WARN=("slow query {id}: {ms} ms", "shard {n} lags behind"),
        ERROR=("shard {n} failed query {id}", "query {id} timed out after {ms} ms"),
        FATAL=("index is corrupt in segment {n}",),
    ),
    *_of(
        "cart",
        TRACE=("cart of user {user} locked",),
        DEBUG=("cart of user {user} read in {ms} ms",),
        INFO=(
            "{sku} added to cart of user {user}",
            "{sku} removed from cart of user {user}",
            "cart total {amount} EUR",
        ),
        WARN=("cart of user {user} holds {n} items", "coupon {id} has expired"),
        ERROR=("cart of user {user} cannot be saved: connection refused", "optimistic lock lost for user {user}"),
        FATAL=("cart store is full",),
    ),
    *_of(
        "checkout",
        TRACE=("state of order {order} loaded",),
        DEBUG=("order {order} validated in {ms} ms",),
        INFO=(
            "order {order} placed by user {user}",
            "order {order} confirmed, {amount} EUR",
            "checkout took {ms} ms",
        ),
        WARN=("order {order} waits for payment since {n} s", "address of user {user} is incomplete"),
        ERROR=("order {order} failed: payment not confirmed", "order {order} rolled back after {ms} ms"),
        FATAL=("order sequence is exhausted",),
    ),
    *_of(
        "payments",
        TRACE=("risk rule {n} evaluated",),
        DEBUG=("provider chosen for order {order}", "idempotency key {id} stored"),
        INFO=(
            "payment of {amount} EUR accepted for order {order}",
            "refund {id} sent",
            "provider answered in {ms} ms",
        ),
        WARN=("payment for order {order} retried, attempt {n}", "provider slow: {ms} ms"),
        ERROR=("card declined for order {order}", "payment provider timeout after {ms} ms", "refund {id} failed"),
        FATAL=("ledger does not balance by {amount} EUR",),
    ),
    *_of(
        "inventory",
        TRACE=("bin {n} counted",),
        DEBUG=("stock of {sku} read in {ms} ms",),
        INFO=("{n} of {sku} reserved for order {order}", "stock of {sku} is {n}", "delivery {id} booked in"),
        WARN=("stock of {sku} is low: {n}",),
        ERROR=("{sku} is out of stock for order {order}", "reservation for order {order} lost"),
        FATAL=("stock of {sku} is negative",),
    ),
    *_of(
        "shipping",
        TRACE=("tariff {n} compared",),
        DEBUG=("label of order {order} rendered in {ms} ms",),
        INFO=("order {order} shipped as {id}", "parcel {id} scanned", "parcel {id} delivered"),
        WARN=("parcel {id} is delayed by {n} h",),
        ERROR=("carrier refused parcel {id}", "no label for order {order}: carrier sent {status}"),
        FATAL=("no carrier is reachable",),
    ),
    *_of(
        "notifications",
        TRACE=("template {n} expanded",),
        DEBUG=("mail for user {user} queued", "push batch of {n} built in {ms} ms"),
        INFO=("mail sent to user {user}", "push {id} delivered in {ms} ms", "SMS sent for order {order}"),
        WARN=("mail to user {user} bounced", "queue holds {n} mails"),
        ERROR=("mail server refused user {user}: 452", "push {id} failed: token is not registered"),
        FATAL=("mail server blocked this sender",),
    ),
)

FAILURES = (
    Failure(
        "TimeoutError",
        "timed out",
        "Traceback (most recent call last):\n"
        '  File "/srv/app/client.py", line 88, in call\n'
        "    return self._pool.request(method, url, timeout=self._timeout_s)\n"
        '  File "/srv/app/pool.py", line 142, in request\n'
        '    raise TimeoutError("timed out")\n'
        "TimeoutError: timed out",
    ),
    Failure(
        "java.lang.NullPointerException",
        'Cannot invoke "Order.total()" because "order" is null',
        'java.lang.NullPointerException: Cannot invoke "Order.total()" because "order" is null\n'
        "\tat shop.checkout.OrderService.confirm(OrderService.java:118)\n"
        "\tat shop.checkout.OrderController.post(OrderController.java:61)\n"
        "\tat shop.http.Dispatcher.run(Dispatcher.java:204)",
    ),
    Failure(
        "ConnectionRefusedError",
        "[Errno 111] Connection refused",
        "Traceback (most recent call last):\n"
        '  File "/srv/app/store.py", line 37, in connect\n'
        "    self._socket.connect(self._address)\n"
        "ConnectionRefusedError: [Errno 111] Connection refused",
    ),
    Failure(
        "runtime error",
        "index out of range [3] with length 3",
        "panic: runtime error: index out of range [3] with length 3\n\n"
        "goroutine 812 [running]:\n"
        "shop/search/merge.(*heap).pop(...)\n"
        "\t/src/search/merge/heap.go:54\n"
        "shop/search.(*Query).run(0xc0004a2000)\n"
        "\t/src/search/query.go:203 +0x1d4",
    ),
)
