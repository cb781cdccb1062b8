"""Calls with a token: reads that are repeated, writes that are not, and the one renewal that a 401 is worth.

A 401 is a definite "not applied", so a write may go again with another token. Nothing of a vendor is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tieout.connectors import exact_json
from tieout.connectors.gate import Gate
from tieout.connectors.http import Call, HttpClient, NotSent, Parse, Reply
from tieout.connectors.oauth import Token, Tokens
from tieout.connectors.pace import Heard
from tieout.model.errors import RateLimited, Retriable


class Session:
    """One connection, signed in.

    Args:
        base_url: the address below which paths stand, by the token that is used.
        gate: is asked before each call and told after each answer.
        hear: what an answer's status and headers say of the vendor's allowance.
    """

    def __init__(
        self,
        http: HttpClient,
        tokens: Tokens,
        base_url: Callable[[Token], str],
        gate: Gate,
        hear: Callable[[Reply], Heard],
    ) -> None:
        self.http = http
        self.tokens = tokens
        self.name = tokens.connection.name
        self._base_url = base_url
        self.gate = gate
        self._hear = hear

    def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        is_counted: bool = True,
        parse: Parse = exact_json.loads,
    ) -> Any:
        """The JSON of a GET. Raises as HttpClient.read. `is_counted`: the vendor counts it among those it allows."""
        call = Call("GET", path, params or {}, headers or {})
        return (self.read(call, parse) if is_counted else self._read(call, parse, self._send))[1]

    def read(self, call: Call, parse: Parse | None = exact_json.loads) -> tuple[Reply, Any]:
        """The answer to a call that changes nothing (whatever its method), parsed. Raises as HttpClient.read."""

        patience = self.http.limits.longest_wait
        return self._read(call, parse, lambda prepared, token: self._once(prepared, token, patience))

    def _read(self, call: Call, parse: Parse | None, once: Callable[[Call, Token], Reply]) -> tuple[Reply, Any]:
        def send() -> Reply:
            token = self.tokens.current()
            reply = once(call, token)
            if reply.status == 401:
                reply = once(call, self.tokens.replace(token))
            return reply

        return self.http.read(send, parse)

    def write(self, call: Call, priority: int = 0, weight: int = 1) -> Reply:
        """The answer to a call that changes something, whatever its status (never 401).

        Args:
            priority: 0 is batch work, which lets any other go first.
            weight: as how many calls it counts.

        Raises:
            NotSent: no connection could be made, or no token had in time: nothing was applied.
            RateLimited: the gate lets nothing through for now: nothing was sent.
            Unanswered: nobody knows.
            AuthenticationFailed, PermissionDenied: a fresh token is refused as well: nothing was applied.
        """
        clock, limits = self.http.clock, self.http.limits
        latest = clock.monotonic() + limits.start_within
        refused: Token | None = None
        for _ in range(2):
            try:
                token = self.tokens.current() if refused is None else self.tokens.replace(refused)
            except Retriable as error:
                raise NotSent(f"{self.name}: no token: {error}") from error
            reply = self._once(call, token, latest - clock.monotonic(), priority, latest, limits.deadline, weight)
            if reply.status != 401:
                return reply
            refused = token
        raise self.http.fault(reply)  # of a 401: a Fatal error

    def _once(
        self,
        call: Call,
        token: Token,
        patience: float,
        priority: int = 0,
        latest: float | None = None,
        deadline: float | None = None,
        weight: int = 1,
    ) -> Reply:
        """One call through the gate. `latest`: the clock's time after which it is not sent any more."""
        http, clock = self.http, self.http.clock
        ticket, heard = self._enter(priority, patience, weight), None
        started = clock.monotonic()
        try:
            if latest is not None and started > latest:
                # The sender's claim is measured by `limits.longest_write`: bytes may not leave after it.
                raise NotSent(f"{self.name}: signing in took more than {http.limits.start_within:g} s")
            heard = Heard(fine=False)
            reply = self._send(call, token, deadline)
            heard = self._hear(reply)
            return reply
        except NotSent:
            heard = None
            raise
        finally:
            if heard is not None:
                heard = replace(heard, seconds=clock.monotonic() - started, kind=_kind(call))
            self.gate.leave(ticket, heard)

    def _send(self, call: Call, token: Token, deadline: float | None = None) -> Reply:
        url = call.url if "://" in call.url else f"{self._base_url(token)}{call.url}"
        return self.http.once(replace(call, url=url), f"Bearer {token.value}", deadline)

    def _enter(self, priority: int, patience: float, weight: int) -> str:
        clock = self.http.clock
        started = clock.monotonic()
        try:
            return self.gate.enter(priority, max(patience, 0.0), self.http.limits.longest_write, weight)
        except RateLimited:
            raise
        except Retriable as error:
            raise NotSent(f"{self.name}: the pace of calls is not known: {error}") from error
        finally:
            self.http.counters.waited += clock.monotonic() - started


def _kind(call: Call) -> str:
    """Writes of about the same size to the same place take about as long; of reads nobody knows."""
    if call.method == "GET" or not call.body:
        return ""
    return f"{call.method} {call.url.rsplit('/', 1)[-1]} {len(call.body).bit_length()}"
