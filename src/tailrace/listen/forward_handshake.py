"""The handshake of Fluent's forward protocol, by which both sides show that they know one shared key.

    server  ["HELO", {"nonce": N, "auth": "", "keepalive": true}]
    client  ["PING", CLIENT, SALT, sha512(SALT CLIENT N KEY), USER, PASSWORD]
    server  ["PONG", true, "", SERVER, sha512(SALT SERVER N KEY)]   or   ["PONG", false, REASON, "", ""]

Digests are hexadecimal (Forward Protocol Specification v1, "Authentication"). Users are not asked for.
"""

from __future__ import annotations

import hashlib
import hmac

import msgpack

PING_BYTES_MAX = 4096
"""A PING has two names, a salt and a digest."""

NONCE_BYTES = 16


def helo(nonce: bytes) -> bytes:
    packed: bytes = msgpack.packb(["HELO", {"nonce": nonce, "auth": "", "keepalive": True}])
    return packed


def refusal_of(ping: bytes, *, nonce: bytes, key: str, server: str) -> str | None:
    """Why a PING is refused; None when its digest is right."""
    try:
        kind, client, _, digest, *_ = [_bytes(value) for value in _elements(ping)]
    except ValueError:
        return "not a PING"
    if kind != b"PING":
        return "not a PING"
    if client == server.encode():
        # Or somebody could send our own digest back to us.
        return "client and server have the same name"
    salt = _salt(ping)
    expected = _digest(salt, client, nonce, key)
    return None if hmac.compare_digest(digest, expected.encode()) else "shared key mismatch"


def pong(ping: bytes, *, nonce: bytes, key: str, server: str) -> bytes:
    """The answer to a PING that is right."""
    digest = _digest(_salt(ping), server.encode(), nonce, key)
    packed: bytes = msgpack.packb(["PONG", True, "", server, digest])
    return packed


def refused(reason: str) -> bytes:
    packed: bytes = msgpack.packb(["PONG", False, reason, "", ""])
    return packed


def _digest(salt: bytes, name: bytes, nonce: bytes, key: str) -> str:
    return hashlib.sha512(salt + name + nonce + key.encode()).hexdigest()


def _salt(ping: bytes) -> bytes:
    return _bytes(_elements(ping)[2])


def _elements(ping: bytes) -> list[object]:
    try:
        value = msgpack.unpackb(ping, raw=True, strict_map_key=False)
    except (msgpack.UnpackException, ValueError) as error:
        raise ValueError("not MessagePack") from error
    return value if isinstance(value, list) else []


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""
