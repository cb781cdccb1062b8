"""What every connector offers: reading what changed, sending bodies, looking them up, saying what is wrong.

A connector knows its vendor's API and nothing of links, mappings, the store or delivery.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

from tieout.connectors.requirements import Required
from tieout.model.staged import StagedEntity

Record = Mapping[str, Any]  # a vendor's record as parsed JSON; numbers are Decimal or int, never float


class Guard(StrEnum):
    """What the vendor gives against doing the same thing twice (delivery.md)."""

    DURABLE_KEY = "durable_key"  # upsert by our own unique id
    SHORT_KEY = "short_key"  # an idempotency key that is kept for minutes
    NATURAL_KEY = "natural_key"  # the vendor refuses a second document with the same number
    LOOK_UP = "look_up"  # nothing: one poster, look up first


@dataclass(frozen=True, slots=True)
class Operation:
    """How one kind of write behaves at this vendor: the numbers that the delivery protocol needs.

    Attributes:
        name: `invoices.create`, `contacts.create`, `orders.write_back` ...
        guard: the strongest guard the vendor has for it.
        batch: greatest number of bodies in one request.
        creates: a confirmed send makes a new vendor document (and so a crosswalk row).
        time_out: seconds until the client gives up on an answer.
        latest_apply: seconds after which a request that was cut cannot be applied any more.
        look_up_lag: seconds until a look-up is sure to show what was applied.
        repeatable: doing it twice leaves what doing it once leaves (an update, a void, a PATCH of fields that are
            ours). A look-up that finds other content then means "not applied", and it is sent again; for every
            other operation it means that a person has to look. Never true of a creating or an adding operation.
    """

    name: str
    guard: Guard
    batch: int
    creates: bool
    time_out: float
    latest_apply: float
    look_up_lag: float
    repeatable: bool = False

    @property
    def quiet_period(self) -> timedelta:
        """How long to wait after a send whose fate is unknown before a look-up decides."""
        return timedelta(seconds=self.time_out + self.latest_apply + self.look_up_lag)


@dataclass(frozen=True, slots=True)
class Request:
    """One item to send or to look up. `body` is final: no placeholders left. The highest `priority` of a batch is
    the batch's: 0 lets any other call go first."""

    doc_uid: str
    operation: str
    natural_key: str
    idempotency_key: str
    body: bytes
    priority: int = 0


#: `Answer.reason` where no connection could be made: nobody asked us to wait, the vendor or the way to it is away.
UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of one item after a send.

    `applied`: the vendor said so, with its id. `refused`: a definite no, nothing was applied. `uncertain`: 5xx,
    time-out, reset, unreadable 200, item missing from the answer. `throttled`: definitely not applied, come back
    after `retry_after` seconds.
    """

    doc_uid: str
    outcome: Literal["applied", "refused", "uncertain", "throttled"]
    vendor_id: str | None = None
    number: str | None = None
    content: Record = field(default_factory=dict)
    reason: str | None = None  # stable code: duplicate_number, period_locked, validation, ...
    message: str = ""
    http_status: int | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A document that a look-up met. `differences`: (field, sent, found) where its content is not what we sent."""

    vendor_id: str
    number: str | None
    content: Record
    differences: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Records of one page, and how many calls and bytes it took."""

    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `tieout doctor` and of the connection's test button."""

    ok: bool
    what: str
    remedy: str = ""


class Source(Protocol):
    """Reading side."""

    def changed(self, entity: StagedEntity, since: datetime | None, upto: datetime) -> Iterator[Page]:
        """Records modified in [since, upto), whole when `since` is None; each page once, ordered by (modified, key).

        A record that changes while the pages are read may come again or be left to the next window (its new
        modification time is then at or past `upto`); none is lost. Raises Retriable, AuthenticationFailed,
        PermissionDenied, VendorFault.
        """
        ...

    def deleted(self, entity: StagedEntity, since: datetime, upto: datetime) -> Iterator[Sequence[str]]:
        """Ids deleted in the window, as far back as the vendor tells (Fatal when `since` is further back)."""
        ...

    def dated(
        self, entity: StagedEntity, field: str, first: date, last: date, parent: str | None = None
    ) -> Iterator[Page]:
        """Records whose `field` is a day in [first, last], whenever they changed; at least once each.

        A record whose day is changed while the pages are read may be left out; none that keeps its day is.

        Args:
            field: path of a date in the vendor's record.
            parent: path of the id of the record above (an order line's order); then `field` is that record's.

        Raises:
            ConfigurationFault: the vendor cannot choose the entity's records by a date.
            Retriable, AuthenticationFailed, PermissionDenied, VendorFault: as `changed`.
        """
        ...

    def fetch(self, entity: StagedEntity, ids: Sequence[str]) -> Iterator[Page]:
        """The records with these ids as they are now; ids that are gone are missing from the result."""
        ...


class Target(Protocol):
    """Writing side."""

    def operation(self, name: str) -> Operation:
        """The declaration of one write. Raises ConfigurationFault for a name it does not know."""
        ...

    def send(self, operation: Operation, requests: Sequence[Request]) -> Sequence[Answer]:
        """Sends at most `operation.batch` bodies in one call; one Answer for each Request, in order.

        Never raises for what happens on the wire (that is `uncertain`, or `throttled`, `refused`); raises
        AuthenticationFailed or PermissionDenied when nothing was applied for any item. No retries inside.
        """
        ...

    def look_up(self, operation: Operation, requests: Sequence[Request]) -> Mapping[str, Sequence[Found]]:
        """doc_uid -> the live documents that carry its natural key. Raises Retriable when it cannot be known."""
        ...


@dataclass(frozen=True, slots=True)
class ControlBalance:
    """What the general ledger says of an account at the end of a day: a debit is above zero."""

    account: str
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """Who did something to a document, as the system itself tells it."""

    at: datetime | None
    user: str
    what: str


@runtime_checkable
class GeneralLedger(Protocol):
    """What a system that keeps books says beyond its documents. A connector that has it declares so by these two."""

    def receivables(self, day: date) -> ControlBalance:
        """The control account of what customers owe, from the general ledger, in the base currency.

        Raises PermissionDenied where the app may not read reports, VendorFault where the account is not there.
        """
        ...

    def history(self, object_name: str, id_: str) -> Sequence[HistoryEntry]:
        """What happened to one document, the newest first; empty where the system keeps none for it."""
        ...


class Connector(Source, Target, Protocol):
    """A system that can be read, written and examined."""

    def findings(self, required: Required | None = None) -> Sequence[Finding]:
        """Is it reachable, are the credentials accepted, is what `required` names there and allowed? Raises nothing
        that can be expected of a system that is not set up."""
        ...

    def close(self) -> None:
        """Gives its sockets back."""
        ...
