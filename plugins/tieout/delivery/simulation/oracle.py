"""The oracle: books of its own, kept line by line from what the ledger really applied, and checks while it happens.

It asks neither the store nor the delivery: it knows the requests' bytes and what the ledger did with them. Here are the
invariants that can be seen at the vendor's door: S1, S5, S6, S9, S14, and that where the vendor guards nothing one
poster at a time writes (C2), who has just looked (C4), and that no record writes over another's document (C5). What
needs the store's rows as well is in invariants.py.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tieout.connectors.base import Answer, Guard, Operation, Request
from tieout.delivery.simulation.clock import VirtualClock

#: Seconds by which two readings of a clock may differ.
CLOSE = 1e-3


class Broken(BaseException):
    """An invariant does not hold. No `except Exception` on the way may take it for a vendor's fault.

    Args:
        name: of the invariant: S1 ... S19, L1 ... L4, or C1, C2 for rules of the protocol that have no number.
        words: what was expected and found.
    """

    def __init__(self, name: str, words: str) -> None:
        super().__init__(f"{name}: {words}")
        self.name, self.words = name, words


@dataclass(slots=True)
class Line:
    """One document as the oracle has it booked. `record` is the source record's number; None for a person's."""

    vendor_id: str
    natural_key: str
    record: int | None
    kind: str
    amount: int
    revision: int
    body: bytes
    live: bool = True
    pays: str | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened: true seconds, and seconds of the database's clock."""

    true: float
    database: float

    def since(self, earlier: Moment) -> float:
        """Seconds that have passed by the clock that says more: a clock that was set back shows less than there was."""
        return max(self.true - earlier.true, self.database - earlier.database)


@dataclass(slots=True)
class _Send:
    """The last send of a document: when, and whether the ledger has said a definite no to it since."""

    at: Moment
    said_no: bool = False


@dataclass(slots=True)
class Oracle:
    """A witness of the ledger. Raises Broken as soon as something is wrong.

    Attributes:
        lines: vendor id -> line.
        changes: how often the books changed: running everything again must not raise it.
        said: (doc_uid, worker) -> outcomes that the ledger itself gave.
        poster: the worker that posts where there is no guard; `gone` ends its turn.
    """

    clock: VirtualClock
    lines: dict[str, Line] = field(default_factory=dict)
    changes: int = 0
    said: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    poster: str | None = None
    _bytes: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    _key_of: dict[str, str] = field(default_factory=dict)
    _sends: dict[str, _Send] = field(default_factory=dict)
    _looks: dict[str, Moment] = field(default_factory=dict)
    #: Who looked it up since its last send.
    _lookers: dict[str, str] = field(default_factory=dict)

    # -- what the ledger tells -----------------------------------------------------------------------------------------

    def sending(self, operation: Operation, requests: Sequence[Request], by: str) -> None:
        if operation.guard is Guard.LOOK_UP:
            if self.poster not in (None, by):
                raise Broken("C2", f"{by} and {self.poster} post at once where nothing is guarded")
            self.poster = by
        for request in requests:
            self._same_bytes(request)
            if operation.guard is Guard.LOOK_UP and self._lookers.get(request.doc_uid) != by:
                raise Broken("C4", f"{request.natural_key} is sent unseen where nothing is guarded")
            self._after_quiet(operation, request)
            self._sends[request.doc_uid] = _Send(self._now())
            self._lookers.pop(request.doc_uid, None)

    def answered(self, operation: Operation, answers: Sequence[Answer], by: str) -> None:
        for answer in answers:
            self.said[answer.doc_uid, by].append(answer.outcome)
            if answer.outcome in ("refused", "throttled"):
                self._sends[answer.doc_uid].said_no = True

    def looked(self, operation: Operation, requests: Sequence[Request], by: str) -> None:
        for request in requests:
            self._looks[request.doc_uid] = self._now()
            self._lookers[request.doc_uid] = by

    def applied(self, operation: Operation, request: Request, vendor_id: str, *, made: bool) -> None:
        self.changes += 1
        content = json.loads(request.body)
        if made:
            self._made(request, vendor_id, content)
            return
        line = self.lines[vendor_id]
        if content.get("void"):
            line.live = False
            return
        if line.record not in (None, content["record"]):
            raise Broken("C5", f"record {content['record']} writes over {request.natural_key} of record {line.record}")
        if content["revision"] < line.revision:
            raise Broken("S14", f"revision {content['revision']} of {request.natural_key} over {line.revision}")
        line.amount, line.revision, line.body = content["amount"], content["revision"], request.body

    def by_person(self, vendor_id: str, natural_key: str, body: bytes, *, live: bool) -> None:
        if live:
            amount = int(json.loads(body)["amount"])
            self.lines[vendor_id] = Line(vendor_id, natural_key, None, "person", amount, 0, body)
        else:
            self.lines[vendor_id].live = False

    def gone(self, worker: str) -> None:
        """The worker ended, or its session did: it is nobody's poster any more."""
        if self.poster == worker:
            self.poster = None

    # -- what it checks ------------------------------------------------------------------------------------------------

    def _made(self, request: Request, vendor_id: str, content: dict[str, object]) -> None:
        record, kind = content["record"], str(content["kind"])
        assert isinstance(record, int)
        for line in self.lines.values():
            if line.live and (line.record, line.kind) == (record, kind):
                raise Broken("S1", f"{line.vendor_id} and {vendor_id} are both live for record {record}")
        pays = content.get("pays")
        self.lines[vendor_id] = Line(
            vendor_id, request.natural_key, record, kind, int(str(content["amount"])), int(str(content["revision"])),
            request.body, pays=None if pays is None else str(pays),
        )  # fmt: skip
        if pays is not None:
            self._not_overpaid(str(pays))

    def _not_overpaid(self, invoice: str) -> None:
        paid = sum(line.amount for line in self.lines.values() if line.live and line.pays == invoice)
        if invoice not in self.lines or paid > self.lines[invoice].amount:
            raise Broken("S9", f"{paid} paid on {invoice}")

    def _same_bytes(self, request: Request) -> None:
        known = self._bytes.setdefault(request.idempotency_key, (request.doc_uid, request.body))
        if known != (request.doc_uid, request.body):
            raise Broken("S5", f"other bytes or another document under one key: {request.natural_key}")
        if self._key_of.setdefault(request.doc_uid, request.idempotency_key) != request.idempotency_key:
            raise Broken("S5", f"another key for {request.natural_key}: the vendor would not know it again")

    def _after_quiet(self, operation: Operation, request: Request) -> None:
        """S6, seen at the door: nothing is sent again unless it was refused, or looked up after the quiet period."""
        last = self._sends.get(request.doc_uid)
        if last is None or last.said_no:
            return
        # Added up here: the code that is tested is not asked how long it should have waited.
        quiet = operation.time_out + operation.latest_apply + operation.look_up_lag
        look = self._looks.get(request.doc_uid)
        if look is None or look.true < last.at.true:
            raise Broken("S6", f"{request.natural_key} is sent again without a look-up")
        if look.since(last.at) < quiet - CLOSE:
            raise Broken("S6", f"{request.natural_key} was looked up {look.since(last.at):.2f} s after its last send")

    def _now(self) -> Moment:
        return Moment(self.clock.seconds, self.clock.database_seconds)
