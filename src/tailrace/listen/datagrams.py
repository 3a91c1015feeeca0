"""Many datagrams in one call of the system: Linux' recvmmsg(2), or recvfrom(2) where there is none."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import sys

import numpy as np
import numpy.typing as npt

from tailrace.ingest.syslog.frames import Frames
from tailrace.listen.appending import Received
from tailrace.listen.tcp import plain_address

_DATAGRAM_BYTES_MAX = 65_536
_DATAGRAMS_MAX = 512
"""At once. Of the 32 MiB for them only the pages are ever touched that datagrams were received into."""

_ADDRESS_BYTES = 28  # of sockaddr_in6
_MSG_DONTWAIT = 0x40

# asm-generic/socket.h and linux/sock_diag.h
_SO_RCVBUFFORCE, _SO_MEMINFO = 33, 55
_MEMINFO = struct.Struct("9I")
_MEMINFO_DROPS = 8


class _IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """`struct msghdr`."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint32),
        ("parts", ctypes.c_void_p),
        ("parts_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """`struct mmsghdr`."""

    _fields_ = (("header", _Header), ("size", ctypes.c_uint32))


class Datagrams:
    """Receives from a socket, which it does not own. One thread."""

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound
        self._receive_many = getattr(ctypes.CDLL(None, use_errno=True), "recvmmsg", None)
        if sys.platform != "linux":
            self._receive_many = None
        self._buffer = np.empty((_DATAGRAMS_MAX, _DATAGRAM_BYTES_MAX), np.uint8)
        self._view = self._buffer.data.cast("B")
        self._addresses = np.zeros((_DATAGRAMS_MAX, _ADDRESS_BYTES), np.uint8)
        self._parts = (_IoVec * _DATAGRAMS_MAX)()
        self._messages = (_Message * _DATAGRAMS_MAX)()
        for i in range(_DATAGRAMS_MAX):
            self._parts[i].base = self._buffer.ctypes.data + i * _DATAGRAM_BYTES_MAX
            self._parts[i].size = _DATAGRAM_BYTES_MAX
            message = self._messages[i].header
            message.name = self._addresses.ctypes.data + i * _ADDRESS_BYTES
            message.name_size = _ADDRESS_BYTES
            message.parts = ctypes.addressof(self._parts[i])
            message.parts_count = 1
        whole = np.frombuffer(memoryview(self._messages).cast("B"), np.uint8).reshape(
            _DATAGRAMS_MAX, ctypes.sizeof(_Message)
        )
        at = _Message.size.offset
        self._sizes: npt.NDArray[np.uint32] = whole[:, at : at + 4].view(np.uint32)[:, 0]

    def receive(self) -> Received | None:
        """All that is there, up to 512 datagrams, without waiting; None where there is nothing."""
        if self._receive_many is None:
            return self._receive_each()
        count = self._receive_many(self._socket.fileno(), self._messages, _DATAGRAMS_MAX, _MSG_DONTWAIT, None)
        if count <= 0:
            return None
        sizes = self._sizes[:count].astype(np.int64)
        places = range(0, count * _DATAGRAM_BYTES_MAX, _DATAGRAM_BYTES_MAX)
        view = self._view
        data = b"".join([view[at : at + size] for at, size in zip(places, sizes.tolist(), strict=True)])
        senders, peer_of = np.unique(self._addresses[:count].view("V28")[:, 0], return_inverse=True)
        peers = [_peer(self._socket.family, sender.tobytes()) for sender in senders]
        return _received(data, sizes, peers, peer_of)

    def dropped(self) -> int:
        """How many datagrams the kernel has dropped so far, modulo 2^32; 0 where it does not say."""
        with contextlib.suppress(OSError):
            return int(
                _MEMINFO.unpack(self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[
                    _MEMINFO_DROPS
                ]
            )
        return 0

    def _receive_each(self) -> Received | None:
        parts: list[bytes] = []
        peers: dict[str, int] = {}
        peer_of: list[int] = []
        with contextlib.suppress(BlockingIOError, InterruptedError):
            while len(parts) < _DATAGRAMS_MAX:
                data, address = self._socket.recvfrom(_DATAGRAM_BYTES_MAX)
                parts.append(data)
                peer_of.append(peers.setdefault(plain_address(str(address[0])), len(peers)))
        if not parts:
            return None
        return _received(b"".join(parts), np.array([len(part) for part in parts]), list(peers), np.array(peer_of))


def widen(bound: socket.socket, size_bytes: int) -> None:
    """As large a buffer in the kernel as we may have: what comes while the reader does not run is kept there."""
    try:
        bound.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size_bytes)
    except OSError:
        with contextlib.suppress(OSError):
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size_bytes)


def _received(
    data: bytes, sizes: npt.NDArray[np.int64], peers: list[str], peer_of: npt.NDArray[np.int64]
) -> Received:
    ends = np.cumsum(sizes)
    return Received(Frames(data, ends - sizes, ends), peers, peer_of.astype(np.int64))


def _peer(family: int, address: bytes) -> str:
    """`sockaddr_in` or `sockaddr_in6`."""
    if family == socket.AF_INET6:
        return plain_address(socket.inet_ntop(socket.AF_INET6, address[8:24]))
    return socket.inet_ntop(socket.AF_INET, address[4:8])
