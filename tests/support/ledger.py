"""A ledger in memory that implements `Target` with every class of guard, and does what networks do to a request.

It is the counterpart of the delivery tests, not a copy of any vendor. Faults come one for each call of `send` or
`look_up`, from a list or a seeded plan; time comes from the same clock as the delivery's.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy.engine import Connection

from tieout.connectors.base import Answer, Found, Guard, Operation, Request
from tieout.model.errors import AuthenticationFailed, ConfigurationFault, RateLimited, Retriable

#: What can happen to a send. `ok` is nothing; those with `_some` hit only part of the batch.
SEND_FAULTS = (
    "lost_request",
    "lost_answer",
    "late",
    "error_applied",
    "error_not_applied",
    "throttled",
    "item_missing",
    "item_missing_not_applied",
    "cut",
    "reordered",
    "doubled",
)
LOOK_UP_FAULTS = ("look_up_fails", "look_up_limited")


class VirtualClock:
    """One virtual time for the database and the process."""

    def __init__(self) -> None:
        self.start = datetime(2026, 3, 1, tzinfo=UTC)
        self.seconds = 0.0

    @property
    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds)

    def database_now(self, conn: Connection) -> datetime:
        # Each transaction has an instant of its own, so that checks can tell before from after.
        self.seconds += 0.00001
        return self.now

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def operation(name: str, guard: Guard, batch: int = 10, creates: bool = True, repeatable: bool = False) -> Operation:
    """An operation with short times: 10 s time-out, 20 s latest apply, 5 s look-up lag."""
    return Operation(
        name, guard, batch, creates, time_out=10.0, latest_apply=20.0, look_up_lag=5.0, repeatable=repeatable
    )


OPERATIONS = {
    each.name: each
    for each in (
        operation("durable.create", Guard.DURABLE_KEY),
        operation("short.create", Guard.SHORT_KEY),
        operation("natural.create", Guard.NATURAL_KEY),
        operation("bare.create", Guard.LOOK_UP, batch=1),
        operation("document.update", Guard.DURABLE_KEY, creates=False, repeatable=True),
    )
}


@dataclass(slots=True)
class Document:
    """A live document. `stamp` is the doc_uid that made it; None when a person did."""

    vendor_id: str
    natural_key: str
    stamp: str | None
    body: bytes
    visible_at: float


@dataclass(frozen=True, slots=True)
class Sent:
    """Bytes that reached (or were to reach) the ledger."""

    at: float
    request: Request
    fault: str


@dataclass(slots=True)
class MemoryLedger:
    """The ledger.

    Attributes:
        faults: what happens to the next calls of send; `ok` when it ends.
        look_up_faults: the same for look-ups.
        before_send: called with the requests before anything happens: for checks of S4.
        key_life: seconds for which an idempotency key of the class SHORT_KEY is remembered.
        lag: seconds until a look-up shows what was applied; at most the operation's look_up_lag.
    """

    clock: VirtualClock
    operations: Mapping[str, Operation] = field(default_factory=lambda: OPERATIONS)
    faults: Iterator[str] = field(default_factory=lambda: iter(()))
    look_up_faults: Iterator[str] = field(default_factory=lambda: iter(()))
    before_send: Callable[[Sequence[Request]], None] = lambda requests: None
    key_life: float = 30.0
    lag: float = 0.0
    late_by: float = 15.0
    documents: list[Document] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    looked_up: list[tuple[float, str]] = field(default_factory=list)
    pending: list[tuple[float, Operation, Request]] = field(default_factory=list)
    keys: dict[str, tuple[float, str]] = field(default_factory=dict)
    calls: int = 0
    serial: int = 0
    wire: threading.RLock = field(default_factory=threading.RLock)

    # -- Target --------------------------------------------------------------------------------------------------------

    def operation(self, name: str) -> Operation:
        if name not in self.operations:
            raise ConfigurationFault(f"the ledger has no operation {name}")
        return self.operations[name]

    def send(self, operation: Operation, requests: Sequence[Request]) -> Sequence[Answer]:
        with self.wire:
            return self._send(operation, requests)

    def _send(self, operation: Operation, requests: Sequence[Request]) -> Sequence[Answer]:
        self.before_send(requests)
        assert len(requests) <= operation.batch
        self.calls += 1
        self._arrive()
        fault = next(self.faults, "ok")
        self.sent += [Sent(self.clock.seconds, request, fault) for request in requests]
        if fault == "throttled":
            return [Answer(r.doc_uid, "throttled", http_status=429, retry_after=7.0) for r in requests]
        if any(b'"refuse":"batch"' in request.body.replace(b" ", b"") for request in requests):
            return [Answer(r.doc_uid, "refused", reason="batch_refused", http_status=400) for r in requests]
        if fault == "unauthorised":
            raise AuthenticationFailed("the token is refused")
        if fault == "broken_connector":
            self._apply_all(operation, requests)
            raise KeyError("Invoices")
        return self._with_wire_fault(fault, operation, requests)

    def look_up(self, operation: Operation, requests: Sequence[Request]) -> Mapping[str, Sequence[Found]]:
        self._arrive()
        fault = next(self.look_up_faults, "ok")
        if fault == "look_up_fails":
            raise Retriable("the ledger cannot be read")
        if fault == "look_up_limited":
            raise RateLimited("too many calls", retry_after=5.0)
        self.looked_up += [(self.clock.seconds, request.doc_uid) for request in requests]
        return {request.doc_uid: self._found(request) for request in requests}

    # -- what happens --------------------------------------------------------------------------------------------------

    def _with_wire_fault(self, fault: str, operation: Operation, requests: Sequence[Request]) -> Sequence[Answer]:
        uncertain = [Answer(r.doc_uid, "uncertain", reason=fault, http_status=500) for r in requests]
        if fault in ("lost_request", "error_not_applied"):
            return uncertain
        if fault == "late":
            at = self.clock.seconds + self.late_by
            self.pending += [(at, operation, request) for request in requests]
            return uncertain
        if fault == "cut":
            self._apply_all(operation, requests[: max(len(requests) // 2, 1)])
            return uncertain
        if fault == "item_missing_not_applied":
            return self._apply_all(operation, requests[1:])
        answers = self._apply_all(operation, requests)
        if fault in ("lost_answer", "error_applied"):
            return uncertain
        if fault == "item_missing":
            return answers[:-1]
        if fault == "reordered":
            return answers[::-1]
        return [*answers, *answers] if fault == "doubled" else answers

    def _arrive(self) -> None:
        """Applies what was late and is due."""
        due = [each for each in self.pending if each[0] <= self.clock.seconds]
        self.pending = [each for each in self.pending if each[0] > self.clock.seconds]
        for at, operation, request in due:
            self._apply(operation, request, at)

    def _apply_all(self, operation: Operation, requests: Iterable[Request]) -> list[Answer]:
        return [self._apply(operation, request, self.clock.seconds) for request in requests]

    def _apply(self, operation: Operation, request: Request, at: float) -> Answer:
        content = json.loads(request.body)
        if reason := content.get("refuse"):
            return Answer(request.doc_uid, "refused", reason=reason, message=f"refused: {reason}", http_status=400)
        there = [each for each in self.documents if each.natural_key == request.natural_key]
        if not operation.creates:
            if not there:
                return Answer(request.doc_uid, "refused", reason="not_found", http_status=404)
            there[0].body = request.body
            return self._applied(request, there[0].vendor_id)
        if operation.guard is Guard.DURABLE_KEY and there:
            there[0].body = request.body
            return self._applied(request, there[0].vendor_id)
        if operation.guard is Guard.NATURAL_KEY and there:
            return Answer(request.doc_uid, "refused", reason="duplicate_number", message="taken", http_status=400)
        until, vendor_id = self.keys.get(request.idempotency_key, (0.0, ""))
        if operation.guard is Guard.SHORT_KEY and until > at:
            return self._applied(request, vendor_id)
        made = self.make(request.natural_key, request.body, request.doc_uid, at)
        self.keys[request.idempotency_key] = (at + self.key_life, made.vendor_id)
        return self._applied(request, made.vendor_id)

    def make(self, natural_key: str, body: bytes, stamp: str | None = None, at: float | None = None) -> Document:
        """A new live document; without a stamp it is a person's."""
        self.serial += 1
        vendor_id = hashlib.sha256(f"{self.serial}".encode()).hexdigest()[:12]
        visible_at = (self.clock.seconds if at is None else at) + self.lag
        self.documents.append(Document(vendor_id, natural_key, stamp, body, visible_at))
        return self.documents[-1]

    def _applied(self, request: Request, vendor_id: str) -> Answer:
        content = json.loads(request.body)
        return Answer(request.doc_uid, "applied", vendor_id, request.natural_key, content, http_status=200)

    def _found(self, request: Request) -> list[Found]:
        found = []
        for each in self.documents:
            if each.natural_key == request.natural_key and each.visible_at <= self.clock.seconds:
                sent, there = json.loads(request.body), json.loads(each.body)
                names = sorted(name for name in sent.keys() | there.keys() if sent.get(name) != there.get(name))
                differences = tuple((name, str(sent.get(name)), str(there.get(name))) for name in names)
                found.append(Found(each.vendor_id, each.natural_key, there, differences))
        return found
