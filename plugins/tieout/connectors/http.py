"""A thin client over httpx: bounds, exact JSON, counted calls, retries of reads only.

Reads are sent again after what passes by itself; a write is sent once, and what is not known of its fate is raised as
`Unanswered`. What a vendor's status codes mean is said by its session, which hands in `fault`. No redirect is followed,
no body and no token is logged. The same client serves one connection and one thread.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx
import structlog

from tieout.connectors import exact_json
from tieout.connectors.wire import Clock, Counters, Limits, is_allowed, is_loopback
from tieout.model.errors import AuthenticationFailed, RateLimited, Retriable, TieoutError, VendorFault

log = structlog.get_logger(__name__)

#: Reads a body as JSON; ValueError where it is none.
Parse = Callable[[bytes], Any]

USER_AGENT = "tieout/0.1"


@cache
def tls(trust_env: bool) -> ssl.SSLContext:
    """httpx's own, made once in a process: to read the authorities' certificates takes 50 ms. Certificates that are
    exchanged on disk are seen by processes that start afterwards: restart the scheduler or the worker.

    Args:
        trust_env: the environment may name others (SSL_CERT_FILE, SSL_CERT_DIR).
    """
    return httpx.create_ssl_context(trust_env=trust_env)


class NotSent(Retriable):
    """No connection could be made: nothing of the request has left this machine."""


class Unanswered(Retriable):
    """The request may have been applied or not: time-out, reset, cut answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `text` and `body` hold what a person's record may hold: they are not for logs."""

    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The body as exact JSON. Raises ValueError when it is none."""
        return exact_json.loads(self.body)

    def retry_after(self, now: float, default: float) -> float:
        """Seconds that the vendor asks to wait (`now` is its Unix time); `default` when it says nothing readable."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - now)
        except (ValueError, TypeError):
            return default

    def whole(self, header: str) -> int | None:
        """A whole number of at most nine digits in a header; None where there is none."""
        text = self.headers.get(header, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `url` is absolute; `headers` come without Authorization."""

    method: str
    url: str
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)


class HttpClient:
    """Sends calls to the allowed hosts of one connection.

    Args:
        name: the connection's name, for messages.
        hosts: patterns of the hosts that may be called.
        fault: what an answer of 300 or more means.
    """

    def __init__(
        self,
        name: str,
        hosts: tuple[str, ...],
        fault: Callable[[Reply], TieoutError],
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.name = name
        self.hosts = hosts
        self.fault = fault
        self.clock = clock or Clock()
        self.limits = limits or Limits()
        self.counters = Counters()
        bounds = self.limits
        # A proxy of the environment must not get what is meant for this machine.
        trust_env = not is_loopback(hosts[0])
        self._client = httpx.Client(
            transport=transport,
            verify=tls(trust_env),
            timeout=httpx.Timeout(bounds.read, connect=bounds.connect, write=bounds.write),
            follow_redirects=False,
            trust_env=trust_env,
            headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
        )

    def close(self) -> None:
        """Gives the sockets back."""
        self._client.close()

    def once(self, call: Call, authorization: str | None = None, deadline: float | None = None) -> Reply:
        """Sends the call a single time; its answer has to be complete after `deadline` seconds.

        Raises:
            NotSent: no connection could be made.
            Unanswered: anything else went wrong before the answer was complete.
            AuthenticationFailed: the URL's host is not allowed for this connection.
        """
        host = urlsplit(call.url).hostname or ""
        if not is_allowed(host, self.hosts):
            raise AuthenticationFailed(
                f"connection {self.name!r} may not call {host}; if that host is right, add it to allowed_hosts"
            )
        started = self.clock.monotonic()
        self.counters.calls += 1
        self.counters.bytes_sent += len(call.body or b"")
        reply: Reply | None = None
        try:
            reply = self._exchange(call, authorization, started + (deadline or self.limits.read_deadline))
            return reply
        finally:
            seconds = self.clock.monotonic() - started
            self.counters.seconds += seconds
            log.debug(
                "http.call",
                connection=self.name,
                method=call.method,
                path=urlsplit(call.url).path,
                status=reply.status if reply else None,
                bytes=len(reply.body) if reply else 0,
                ms=round(seconds * 1000),
            )

    def _exchange(self, call: Call, authorization: str | None, end: float) -> Reply:
        headers = dict(call.headers)
        if authorization:
            headers["Authorization"] = authorization
        request = self._client.build_request(
            call.method, call.url, params=call.params or None, headers=headers, content=call.body
        )
        what = f"{call.method} {request.url.host}{request.url.path}"
        try:
            response = self._client.send(request, stream=True)
            try:
                body = self._body(response, what, end)
            finally:
                response.close()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            raise NotSent(f"{self.name}: {what}: no connection ({type(error).__name__})") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Unanswered(f"{self.name}: {what}: no answer ({type(error).__name__})") from error
        self.counters.bytes_received += len(body)
        return Reply(response.status_code, response.headers, body)

    def _body(self, response: httpx.Response, what: str, end: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in response.iter_bytes():
            size += len(part)
            parts.append(part)
            if size > self.limits.most_bytes:
                raise Unanswered(f"{self.name}: {what}: answer of more than {self.limits.most_bytes} bytes")
            if self.clock.monotonic() > end:
                raise Unanswered(f"{self.name}: {what}: answer not complete in time")
        return b"".join(parts)

    def read(self, send: Callable[[], Reply], parse: Parse | None = exact_json.loads) -> tuple[Reply, Any]:
        """The answer to a read, and what `parse` makes of its body, sent again after what passes by itself.

        Raises:
            RateLimited: the vendor asks for a longer wait than `limits.longest_wait`, or asked too often.
            Retriable: no good answer in `limits.attempts` attempts.
            Fatal: what `fault` makes of the answer.
        """
        failure: Retriable = Retriable(f"{self.name}: no attempt was made")
        for attempt in range(self.limits.attempts):
            if attempt:
                self.counters.retries += 1
                self._back_off(attempt, failure)
            try:
                reply = send()
                if reply.status < 300:
                    return reply, self._parsed(reply, parse) if parse is not None else None
                error = self.fault(reply)
            except (NotSent, Unanswered) as lost:
                error = lost
            if not isinstance(error, Retriable):
                raise error
            if isinstance(error, RateLimited):
                self.counters.throttled += 1
                if error.retry_after > self.limits.longest_wait:
                    raise error
            failure = error
        raise failure

    def _parsed(self, reply: Reply, parse: Parse) -> Any:
        try:
            return parse(reply.body)
        except ValueError as error:
            # A proxy's page or a body that was cut where the length still fits: mostly gone at the next try.
            raise Unanswered(f"{self.name}: the answer (HTTP {reply.status}) is not JSON") from error

    def wait(self, seconds: float) -> None:
        """Sleeps, and counts it."""
        self.counters.waited += seconds
        self.clock.sleep(seconds)

    def _back_off(self, attempt: int, failure: Retriable) -> None:
        if isinstance(failure, RateLimited):
            self.wait(failure.retry_after)
            return
        longest = min(self.limits.longest_backoff, self.limits.first_backoff * 2 ** (attempt - 1))
        self.wait(longest * (0.5 + self.clock.chance() / 2))


def http_fault(system: str, reply: Reply, clock: Clock, message: str = "") -> TieoutError:
    """What a status means where the vendor says nothing more: the common part of every session's `fault`."""
    text = f"{system}: HTTP {reply.status}{': ' if message else ''}{message}"
    if reply.status == 429:
        return RateLimited(text, reply.retry_after(clock.now().timestamp(), 60.0))
    if reply.status == 408 or reply.status >= 500:
        return Retriable(text)
    return VendorFault(text)
