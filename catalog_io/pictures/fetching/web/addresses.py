"""The address guard: looks up the host of a URL, checks its addresses, and connects to a checked one only."""

import contextlib
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import httpcore

from schemas.pictures import PictureError

Resolver = Callable[[str, int], Sequence[str]]
"""All addresses of a host, by preference; OSError where there are none."""

_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Public in form but reserved; clouds answer with credentials at some of them.
_SPECIAL = [ipaddress.ip_network(n) for n in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "3fff::/20")]
_MOST_TRIED = 4
# A lookup cannot be stopped. This bounds how many are unfinished, in all threads together.
_LOOKUPS = threading.BoundedSemaphore(64)

_ends: ContextVar[float] = ContextVar("ends")


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Sets the deadline of all that this thread does on the connections of a CheckedBackend inside the block."""
    token = _ends.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends.reset(token)


def remaining() -> float:
    """Seconds until the deadline of `within`; PictureError when it is over."""
    left = _ends.get() - time.monotonic()
    if left <= 0:
        raise PictureError("picture_timeout", "the picture did not come in time")
    return left


class AllowedHosts:
    """The rule for addresses: public ones are allowed, and those that the operator has named (`allow_private`)."""

    def __init__(self, allow_private: Iterable[str]) -> None:
        self._names: set[str] = set()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for entry in allow_private:
            try:
                self._networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                self._names.add(entry.lower().rstrip("."))

    def allow(self, host: str, address: str) -> bool:
        """Whether a connection to `host` at `address` is allowed."""
        if host.lower().rstrip(".") in self._names:
            return True
        try:
            plain = _unwrapped(ipaddress.ip_address(address))
        except ValueError:
            return False
        return _is_public(plain) or any(plain in network for network in self._networks)


def _unwrapped(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address inside a mapped, 6to4 or NAT64 address; else the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if inner := address.ipv4_mapped or address.sixtofour:
            return inner
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if any(address in network for network in _SPECIAL):
        return False
    return address.version == 4 or address in _PUBLIC_6


def look_up(host: str, port: int) -> Sequence[str]:
    """All addresses of the host by the system's resolver, each once."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class CheckedBackend(httpcore.NetworkBackend):
    """Connects to the very address that it has checked, so that no second lookup can differ (DNS rebinding).

    One forbidden address among those of a host is enough to refuse it. All time limits come from `within`.
    """

    def __init__(self, allowed: AllowedHosts, resolver: Resolver = look_up) -> None:
        self._allowed = allowed
        self._resolver = resolver
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """httpcore's hook; the deadline of `within` replaces `timeout`."""
        addresses = self._addresses(host, port)[:_MOST_TRIED]
        for tried, address in enumerate(addresses, start=1):
            left = len(addresses) - tried
            try:
                stream = self._plain.connect_tcp(address, port, remaining() / (left + 1), local_address, socket_options)
                return _TimedStream(stream)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if not left:
                    raise
        raise AssertionError("there is a last address")

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = _in_time(lambda: self._resolver(host, port))
        except (OSError, UnicodeError) as fault:
            raise PictureError("picture_host_unknown", f"there is no host {host}") from fault
        if not addresses:
            raise PictureError("picture_host_unknown", f"the host {host} has no address")
        for address in addresses:
            if not self._allowed.allow(host, address):
                sentence = f"{host} is at {address}, which is not public; `allow_private` can permit it"
                raise PictureError("picture_address_not_allowed", sentence)
        return addresses


def _in_time(look: Callable[[], Sequence[str]]) -> Sequence[str]:
    """The result of a lookup, in a thread that is abandoned at the deadline."""
    too_late = PictureError("picture_timeout", "the host's address did not come in time")
    answers: queue.SimpleQueue[Sequence[str] | Exception] = queue.SimpleQueue()

    def answer() -> None:
        try:
            answers.put(look())
        except Exception as fault:
            answers.put(fault)
        finally:
            _LOOKUPS.release()

    if not _LOOKUPS.acquire(timeout=remaining()):
        raise too_late
    threading.Thread(target=answer, name="look up a host", daemon=True).start()
    try:
        result = answers.get(timeout=remaining())
    except queue.Empty:
        raise too_late from None
    if isinstance(result, Exception):
        raise result
    return result


class _TimedStream(httpcore.NetworkStream):
    """A stream whose every operation ends at the deadline of `within`."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, remaining())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, remaining())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, remaining()))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
