"""A ledger in memory that implements `Target` with every class of guard, and does what networks do to a request.

It is the counterpart of the delivery, not a copy of any vendor: a durable key, a key that is kept for a while, a unique
number, or nothing but a look-up. Faults come one for each call, from lists or from a function (faults.py says which
there are); time comes from the same world as the delivery's. What it applied is told to a `Witness`: the oracle keeps
its books from that alone.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tieout.connectors.base import Answer, Found, Guard, Operation, Request
from tieout.delivery.simulation.clock import VirtualClock
from tieout.delivery.simulation.documents import Document, Sent, Version
from tieout.delivery.simulation.operations import OPERATIONS
from tieout.model.errors import AuthenticationFailed, ConfigurationFault, RateLimited, Retriable

Call = Literal["send", "look_up"]
#: Says what happens to a call: its kind, its operation, how many items it has.
Wire = Callable[[Call, Operation, int], str]
#: Seconds that a quick way to the ledger or back takes.
HOP_SECONDS = 0.02
#: Seconds for which a 429 asks to wait.
RETRY_AFTER = 7.0


class Witness(Protocol):
    """Who is told what really happened, as it happens."""

    def sending(self, operation: Operation, requests: Sequence[Request], by: str) -> None:
        """Bytes are about to leave."""

    def answered(self, operation: Operation, answers: Sequence[Answer], by: str) -> None:
        """What the ledger itself says to a request, before the way back spoils it."""

    def looked(self, operation: Operation, requests: Sequence[Request], by: str) -> None:
        """A look-up was answered."""

    def applied(self, operation: Operation, request: Request, vendor_id: str, *, made: bool) -> None:
        """A request took effect."""

    def by_person(self, vendor_id: str, natural_key: str, body: bytes, *, live: bool) -> None:
        """A person made or removed a document."""


@dataclass(slots=True)
class MemoryLedger:
    """The ledger.

    Attributes:
        faults, look_up_faults: what happens to the next calls; `ok` when they end.
        wire: says the same by a function; the lists are not read then.
        before_send: called with the requests before anything happens: for checks of S4.
        travel: called with the seconds that a way takes; in a simulation others work meanwhile.
        key_life: seconds for which an idempotency key of the class SHORT_KEY is remembered.
        lag: seconds until a look-up shows what was applied; at most the operation's look_up_lag.
        late_by: seconds after its start at which a late request is applied.
        lifted: natural keys that are refused no more.
    """

    clock: VirtualClock
    operations: Mapping[str, Operation] = field(default_factory=lambda: OPERATIONS)
    faults: Iterator[str] = field(default_factory=lambda: iter(()))
    look_up_faults: Iterator[str] = field(default_factory=lambda: iter(()))
    before_send: Callable[[Sequence[Request]], None] = lambda requests: None
    key_life: float = 30.0
    lag: float = 0.0
    late_by: float = 15.0
    wire: Wire | None = None
    travel: Callable[[float], None] = lambda seconds: None
    witness: Witness | None = None
    lifted: set[str] = field(default_factory=set)
    documents: list[Document] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    looked_up: list[tuple[float, str]] = field(default_factory=list)
    pending: list[tuple[float, Operation, Request]] = field(default_factory=list)
    keys: dict[str, tuple[float, str]] = field(default_factory=dict)
    calls: int = 0
    serial: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    # -- Target --------------------------------------------------------------------------------------------------------

    def operation(self, name: str) -> Operation:
        if name not in self.operations:
            raise ConfigurationFault(f"the ledger has no operation {name}")
        return self.operations[name]

    def send(self, operation: Operation, requests: Sequence[Request], by: str = "") -> Sequence[Answer]:
        self.before_send(requests)
        if self.witness is not None:
            self.witness.sending(operation, requests, by)
        with self.lock:
            assert len(requests) <= operation.batch
            self.calls += 1
            fault = self._fault("send", operation, len(requests))
            now, database_now = self.clock.seconds, self.clock.database_seconds
            self.sent += [Sent(now, request, fault, by, database_now) for request in requests]
        self.travel(HOP_SECONDS)
        with self.lock:
            self.arrive()
            answers, back = self._happens(fault, operation, requests, by, now)
        # The client gives up at its time-out; the rest of the way counts from the start.
        self.travel(max(now + back - self.clock.seconds, 0.0))
        return answers()

    def look_up(self, operation: Operation, requests: Sequence[Request], by: str = "") -> Mapping[str, Sequence[Found]]:
        fault = self._fault("look_up", operation, len(requests))
        self.travel(HOP_SECONDS)
        with self.lock:
            self.arrive()
            if fault == "look_up_fails":
                raise Retriable("the ledger cannot be read")
            if fault == "look_up_limited":
                raise RateLimited("too many calls", retry_after=5.0)
            self.looked_up += [(self.clock.seconds, request.doc_uid) for request in requests]
            if self.witness is not None:
                self.witness.looked(operation, requests, by)
            lag = operation.look_up_lag if fault == "stale" else self.lag
            found = {request.doc_uid: self._found(operation, request, lag) for request in requests}
        self.travel(HOP_SECONDS)
        return found

    # -- what happens to a request -------------------------------------------------------------------------------------

    def _fault(self, call: Call, operation: Operation, items: int) -> str:
        if self.wire is not None:
            return self.wire(call, operation, items)
        return next(self.faults if call == "send" else self.look_up_faults, "ok")

    def _happens(
        self, fault: str, operation: Operation, requests: Sequence[Request], by: str, start: float
    ) -> tuple[Callable[[], Sequence[Answer]], float]:
        """What the connector makes of the answer when it is back, and how long after the start that is."""
        quick = 2 * HOP_SECONDS
        if fault == "throttled":
            return self._said(operation, by, [self._no(r, "throttled", None, 429) for r in requests]), quick
        if any(b'"refuse":"batch"' in r.body.replace(b" ", b"") and r.natural_key not in self.lifted for r in requests):
            return self._said(operation, by, [self._no(r, "refused", "batch_refused", 400) for r in requests]), quick
        if fault == "unauthorised":
            self._said(operation, by, [self._no(r, "refused", "unauthorised", 401) for r in requests])
            return _raiser(AuthenticationFailed("the token is refused")), quick
        if fault == "broken_connector":
            self._apply_all(operation, requests, by)
            return _raiser(KeyError("Invoices")), quick
        return self._with_wire_fault(fault, operation, requests, by, start)

    def _with_wire_fault(
        self, fault: str, operation: Operation, requests: Sequence[Request], by: str, start: float
    ) -> tuple[Callable[[], Sequence[Answer]], float]:
        quick, given_up = 2 * HOP_SECONDS, operation.time_out
        status = {"not_json": 200, "cut": 200}.get(fault, 500)
        uncertain = [Answer(r.doc_uid, "uncertain", reason=fault, http_status=status) for r in requests]
        if fault == "error_not_applied":
            return lambda: uncertain, quick
        if fault == "lost_request":
            return lambda: uncertain, given_up
        if fault == "late":
            self.pending += [(start + self.late_by, operation, request) for request in requests]
            return lambda: uncertain, given_up
        if fault == "cut":
            self._apply_all(operation, requests[: max(len(requests) // 2, 1)], by)
            return lambda: uncertain, quick
        if fault == "item_missing_not_applied":
            answers = self._apply_all(operation, requests[1:], by)
            return lambda: answers, quick
        answers = self._apply_all(operation, requests, by)
        if fault in ("lost_answer", "error_applied", "not_json"):
            return lambda: uncertain, given_up if fault == "lost_answer" else quick
        shown = {"item_missing": answers[:-1], "reordered": answers[::-1], "doubled": [*answers, *answers]}
        return lambda: shown.get(fault, answers), quick

    def _said(self, operation: Operation, by: str, answers: list[Answer]) -> Callable[[], Sequence[Answer]]:
        if self.witness is not None:
            self.witness.answered(operation, answers, by)
        return lambda: answers

    @staticmethod
    def _no(request: Request, outcome: Literal["refused", "throttled"], reason: str | None, status: int) -> Answer:
        wait = RETRY_AFTER if outcome == "throttled" else None
        return Answer(request.doc_uid, outcome, reason=reason, http_status=status, retry_after=wait)

    # -- what the ledger does ------------------------------------------------------------------------------------------

    def arrive(self) -> None:
        """Applies what was late and is due."""
        due = [each for each in self.pending if each[0] <= self.clock.seconds]
        self.pending = [each for each in self.pending if each[0] > self.clock.seconds]
        for at, operation, request in due:
            self._apply(operation, request, at)

    def owes(self) -> bool:
        """May something that was sent still take effect or come to be seen? (By a look-up that is not `stale`.)"""
        seen = self.clock.seconds - self.lag
        return bool(self.pending) or any(version.at > seen for each in self.documents for version in each.versions)

    def _apply_all(self, operation: Operation, requests: Iterable[Request], by: str) -> list[Answer]:
        answers = [self._apply(operation, request, self.clock.seconds) for request in requests]
        self._said(operation, by, answers)
        return answers

    def _apply(self, operation: Operation, request: Request, at: float) -> Answer:
        content = json.loads(request.body)
        if (reason := content.get("refuse")) and request.natural_key not in self.lifted:
            return Answer(request.doc_uid, "refused", reason=reason, message=f"refused: {reason}", http_status=400)
        if not operation.creates:
            return self._change(operation, request, content, at)
        there = next(
            (each for each in self.documents if each.natural_key == request.natural_key and each.is_live), None
        )
        if operation.guard is Guard.DURABLE_KEY and there is not None:
            return self._write(operation, request, there, at)
        if operation.guard is Guard.NATURAL_KEY and there is not None:
            return Answer(request.doc_uid, "refused", reason="duplicate_number", message="taken", http_status=400)
        until, vendor_id = self.keys.get(request.idempotency_key, (0.0, ""))
        if operation.guard is Guard.SHORT_KEY and until > at:
            return self._applied(operation, request, vendor_id, made=False)
        made = self.make(request.natural_key, request.body, request.doc_uid, at)
        self.keys[request.idempotency_key] = (at + self.key_life, made.vendor_id)
        return self._applied(operation, request, made.vendor_id, made=True)

    def _change(self, operation: Operation, request: Request, content: Mapping[str, Any], at: float) -> Answer:
        same = [each for each in self.documents if _is_meant(each, request, content)]
        there = next((each for each in same if each.is_live), same[-1] if same else None)
        if there is None:
            return Answer(request.doc_uid, "refused", reason="not_found", http_status=404)
        if content.get("void"):
            there.versions.append(Version(at, there.body, False))
            return self._applied(operation, request, there.vendor_id, made=False)
        if not there.is_live:
            return Answer(request.doc_uid, "refused", reason="voided", message="it is voided", http_status=400)
        return self._write(operation, request, there, at)

    def _write(self, operation: Operation, request: Request, document: Document, at: float) -> Answer:
        document.versions.append(Version(at, request.body, True))
        return self._applied(operation, request, document.vendor_id, made=False)

    def _applied(self, operation: Operation, request: Request, vendor_id: str, *, made: bool) -> Answer:
        if self.witness is not None:
            self.witness.applied(operation, request, vendor_id, made=made)
        content = json.loads(request.body)
        return Answer(request.doc_uid, "applied", vendor_id, request.natural_key, content, http_status=200)

    def _found(self, operation: Operation, request: Request, lag: float) -> list[Found]:
        sent = json.loads(request.body)
        found = []
        for each in self.documents:
            version = each.seen(self.clock.seconds - lag) if _is_meant(each, request, sent) else None
            if version is None or not (version.live or sent.get("void")):
                continue
            there = json.loads(version.body)
            if sent.get("void"):
                differences: tuple[tuple[str, str, str], ...] = (("status", "void", "live"),) if version.live else ()
            else:
                names = sorted(name for name in sent.keys() | there.keys() if sent.get(name) != there.get(name))
                differences = tuple((name, str(sent.get(name)), str(there.get(name))) for name in names)
            found.append(Found(each.vendor_id, each.natural_key, there, differences))
        return found

    # -- what people do ------------------------------------------------------------------------------------------------

    def make(self, natural_key: str, body: bytes, stamp: str | None = None, at: float | None = None) -> Document:
        """A new live document; without a stamp it is a person's."""
        self.serial += 1
        vendor_id = hashlib.sha256(f"{self.serial}".encode()).hexdigest()[:12]
        made = Document(vendor_id, natural_key, stamp, body, self.clock.seconds if at is None else at)
        self.documents.append(made)
        if stamp is None and self.witness is not None:
            self.witness.by_person(vendor_id, natural_key, body, live=True)
        return made

    def remove(self, document: Document) -> None:
        """A person voids a document by hand."""
        document.versions.append(Version(self.clock.seconds, document.body, False))
        if self.witness is not None:
            self.witness.by_person(document.vendor_id, document.natural_key, document.body, live=False)

    def live(self, natural_key: str) -> list[Document]:
        """The live documents with this number, oldest first."""
        return [each for each in self.documents if each.natural_key == natural_key and each.is_live]


def _is_meant(document: Document, request: Request, content: Mapping[str, Any]) -> bool:
    """By the vendor's id where the body has it, else by the number."""
    if "id" in content:
        return bool(document.vendor_id == content["id"])
    return document.natural_key == request.natural_key


def _raiser(error: Exception) -> Callable[[], Sequence[Answer]]:
    def fails() -> Sequence[Answer]:
        raise error

    return fails
