"""What both connectors share about time, counting and addresses; no calls are made here."""

from __future__ import annotations

import ipaddress
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from urllib.parse import quote, urlsplit

from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault

MOST_QUERY = 1800  # characters of a list of keys in a URL, encoded: proxies and IIS cut at 2,048 and more


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """Where a connector takes its time and its chance from; tests give their own, so that they never wait."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = _utc_now
    chance: Callable[[], float] = random.random


@dataclass(slots=True)
class Counters:
    """What a connector did since it was opened: for a run's statistics and for the bench.

    Attributes:
        calls: requests that were sent, sign-in and repeats included.
        retries: reads that were sent again.
        throttled: answers that asked to wait.
        bytes_sent, bytes_received: bodies, decoded.
        seconds: inside calls. waited: asleep between them, in seconds.
    """

    calls: int = 0
    retries: int = 0
    throttled: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    seconds: float = 0.0
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one client. Seconds, bytes, numbers of calls.

    `deadline` (of a write) and `read_deadline` are checked between the pieces of an answer, each of which may take
    `read`.
    """

    connect: float = 10.0
    write: float = 10.0
    read: float = 30.0
    deadline: float = 30.0
    read_deadline: float = 300.0
    start_within: float = 10.0  # a write whose sign-in takes longer than this is not sent at all
    most_bytes: int = 256 * 1024 * 1024
    attempts: int = 5
    first_backoff: float = 0.5
    longest_backoff: float = 20.0
    longest_wait: float = 65.0  # a Retry-After up to this is slept through by reads; a longer one is RateLimited

    @property
    def longest_write(self) -> float:
        """Seconds after which a write has surely ended in this process, one way or the other."""
        return self.start_within + max(self.connect + self.write + self.read, self.deadline + self.read)

    @classmethod
    def for_connection(cls, connection: Connection) -> Limits:
        """The defaults, or those that `extra["time_out"]` (seconds for one exchange) makes of them."""
        seconds = number_from(connection, "time_out", 60.0, 2.0, 300.0)
        half = seconds / 2
        return cls(
            connect=min(10.0, half / 2),
            write=min(10.0, half / 2),
            read=half,
            deadline=half,
            start_within=min(10.0, half),
        )


def check_url(url: str, connection: str) -> str:
    """The URL without a trailing slash.

    Raises:
        ConfigurationFault: not https (http is for this machine's own addresses), or with credentials, a query, a
            fragment or without a host.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host or parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigurationFault(f"connection {connection!r}: expected a URL such as https://host, found another form")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ConfigurationFault(f"connection {connection!r}: {host} must be called by https")
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether the host name is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def allowed_hosts(connection: Connection, defaults: Sequence[str]) -> tuple[str, ...]:
    """Patterns of the hosts that may get this connection's credentials and tokens.

    `extra["allowed_hosts"]` (a list, or a text with commas or blanks) replaces `defaults`; the connection's own host
    is always among them. `*.example.com` is any host below example.com.
    """
    own = (urlsplit(connection.host).hostname or "").lower()
    named = connection.extra.get("allowed_hosts") or defaults
    if isinstance(named, str):
        named = named.replace(",", " ").split()
    return tuple(dict.fromkeys([own, *(str(name).strip().lower() for name in named)]))


def is_allowed(host: str, patterns: Sequence[str]) -> bool:
    """Whether the host matches one of the patterns of `allowed_hosts`."""
    return any(fnmatchcase(host.lower(), pattern) for pattern in patterns if pattern.strip("*."))


def number_from(connection: Connection, name: str, default: float, least: float, most: float) -> float:
    """A number of seconds (or records) from the connection's extra fields.

    Raises:
        ConfigurationFault: no number, or out of bounds.
    """
    found = connection.extra.get(name)
    if found in (None, ""):
        return default
    try:
        value = float(str(found))
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise ConfigurationFault(
            f"connection {connection.name!r}: {name} must be a number from {least:g} to {most:g}, found {found!r:.40}"
        )
    return value


def chunks(values: Sequence[str], extra: int = 0) -> Iterator[list[str]]:
    """The values in order, in lists that fit into a URL; `extra` characters stand around each value."""
    some: list[str] = []
    size = 0
    for value in values:
        length = len(quote(value, safe="")) + extra + 3
        if some and size + length > MOST_QUERY:
            yield some
            some, size = [], 0
        some.append(value)
        size += length
    if some:
        yield some
