"""Calls with a token: reads that are repeated, writes that are not, and the one renewal that a 401 is worth.

A 401 is a definite "not applied", so a write may go again with another token. Nothing of a vendor is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tieout.connectors.http import Call, HttpClient, NotSent, Reply
from tieout.connectors.oauth import Token, TokenSource
from tieout.model.errors import Retriable


class Session:
    """One connection, signed in.

    Args:
        base_url: the address below which paths stand, by the token that is used.
        headers: of every call of this vendor.
        seen: gets each answer: allowances that the vendor reports.
        before_read: called before each read; may wait for an allowance.
    """

    def __init__(
        self,
        http: HttpClient,
        tokens: TokenSource,
        base_url: Callable[[Token], str],
        *,
        headers: Callable[[], Mapping[str, str]] = dict,
        seen: Callable[[Reply], None] | None = None,
        before_read: Callable[[], None] | None = None,
    ) -> None:
        self.http = http
        self.tokens = tokens
        self.name = tokens.connection.name
        self._base_url = base_url
        self._headers = headers
        self._seen = seen
        self._before_read = before_read

    def get(self, path: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON of a GET. Raises as HttpClient.read."""
        return self.read(Call("GET", path, params or {}, headers or {}))[1]

    def read(self, call: Call, *, as_json: bool = True) -> tuple[Reply, Any]:
        """The answer to a call that changes nothing (whatever its method), with its JSON. Raises as HttpClient.read."""

        def send() -> Reply:
            if self._before_read is not None:
                self._before_read()
            token = self.tokens.current()
            reply = self._once(call, token, None)
            if reply.status == 401:
                reply = self._once(call, self.tokens.replace(token), None)
            return reply

        return self.http.read(send, as_json=as_json)

    def write(self, call: Call) -> Reply:
        """The answer to a call that changes something, whatever its status (never 401).

        Raises:
            NotSent: no connection could be made, or no token had in time: nothing was applied.
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
            if clock.monotonic() > latest:
                # The sender's claim is measured by `limits.longest_write`: bytes may not leave after it.
                raise NotSent(f"{self.name}: signing in took more than {limits.start_within:g} s")
            reply = self._once(call, token, limits.deadline)
            if reply.status != 401:
                return reply
            refused = token
        raise self.http.fault(reply)  # of a 401: a Fatal error

    def _once(self, call: Call, token: Token, deadline: float | None) -> Reply:
        url = call.url if "://" in call.url else f"{self._base_url(token)}{call.url}"
        prepared = replace(call, url=url, headers={**self._headers(), **call.headers})
        reply = self.http.once(prepared, f"Bearer {token.value}", deadline)
        if self._seen is not None:
            self._seen(reply)
        return reply
