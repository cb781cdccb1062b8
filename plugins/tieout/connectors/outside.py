"""What a connector is given from outside beside its connection: its wire, its time, and what it shares with others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import httpx

from tieout.connectors.gate import Gate, LocalGate, allowance_of
from tieout.connectors.http import HttpClient, Reply
from tieout.connectors.oauth import Grant, TokenShelf, TokenSource
from tieout.connectors.pace import Allowance
from tieout.connectors.wire import Clock, Limits
from tieout.model.connection import Connection
from tieout.model.errors import TieoutError


@dataclass(frozen=True, slots=True)
class Outside:
    """Where a connector stands; by default alone in its process.

    Attributes:
        transport: a fake wire for tests.
        clock: where it takes its time and its chance from.
        on_secret: is told each fresh token, so that logs can mask it.
        gate: shared by all that call the connection; by default one of this connector's own, in memory.
        shelf: of the token, shared by the connectors of this process; its `refresh` keeps a refresh token that rotates:
            one that forgets (the default) is for tests alone.
    """

    transport: httpx.BaseTransport | None = None
    clock: Clock = field(default_factory=Clock)
    on_secret: Callable[[str], None] | None = None
    gate: Gate | None = None
    shelf: TokenShelf | None = None

    def client(
        self, connection: Connection, hosts: tuple[str, ...], fault: Callable[[Connection, Clock, Reply], TieoutError]
    ) -> HttpClient:
        """The connector's only client: for `hosts` alone, with the vendor's own reading of what is no success.

        Raises:
            ConfigurationFault: the connection's `time_out` is out of bounds.
        """
        return HttpClient(
            connection.name,
            hosts,
            partial(fault, connection, self.clock),
            transport=self.transport,
            clock=self.clock,
            limits=Limits.for_connection(connection),
        )

    def tokens(self, connection: Connection, grant: Grant, http: HttpClient) -> TokenSource:
        """Its tokens, by a grant."""
        return TokenSource(connection, grant, http, self.on_secret, self.shelf)

    def gate_of(self, connection: Connection, allowance: Allowance) -> Gate:
        """The gate that is shared, else one of its own.

        Raises:
            ConfigurationFault: a number of the connection's allowance is out of bounds.
        """
        return self.gate or LocalGate(connection.name, allowance_of(connection, allowance), self.clock)
