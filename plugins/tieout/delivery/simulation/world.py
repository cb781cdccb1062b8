"""One schedule's world: its own target in the store, its ledger, its oracle, its time, and the log of what happened.

The target's, link's and source's names carry a number that no other play in this database has, so nothing has to be
emptied between two plays; the timeline never shows it, nor any id of the store. Documents are made here; who acts on
them is in acts.py and player.py.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

import psycopg
from sqlalchemy.engine import Engine

from tieout.connectors.base import Operation
from tieout.delivery.bodies import placeholder
from tieout.delivery.intents import NewIntent
from tieout.delivery.simulation.clock import VirtualClock
from tieout.delivery.simulation.faults import Cell
from tieout.delivery.simulation.ledger import MemoryLedger
from tieout.delivery.simulation.operations import EVERYTHING
from tieout.delivery.simulation.oracle import Oracle
from tieout.delivery.simulation.plan import Doc, Plan
from tieout.delivery.simulation.workers import Stage
from tieout.model import identity

#: A run's id; each call of a run gets another, which must not matter.
RUN = UUID("00000000-0000-4000-8000-000000000000")


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the timeline: true seconds, who, at which point, what."""

    at: float
    who: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.at:10.3f} s  {self.who:<8} {self.where:<24} {self.what}"


@dataclass(slots=True)
class World:
    """What all parts of a play share.

    Attributes:
        number: of the play in this database.
        watch: a session beside the workers', in autocommit: it sees what is committed.
        planned: doc_uid -> the intent as it was added.
        revision: record -> its latest revision; wanted_void: records that their source has cancelled.
        touched: records on which people acted: what comes of those is theirs.
        deferred: acts whose document's fate was open, to be judged again.
    """

    engine: Engine
    watch: psycopg.Connection[tuple[object, ...]]
    plan: Plan
    number: int
    clock: VirtualClock = field(default_factory=VirtualClock)
    ledger: MemoryLedger = field(init=False)
    oracle: Oracle = field(init=False)
    stage: Stage = field(init=False)
    timeline: list[Happening] = field(default_factory=list)
    met: Counter[Cell] = field(default_factory=Counter)
    planned: dict[str, NewIntent] = field(default_factory=dict)
    content: dict[int, int] = field(default_factory=dict)
    wanted_void: set[int] = field(default_factory=set)
    touched: set[int] = field(default_factory=set)
    deferred: list[tuple[str, int]] = field(default_factory=list)
    runs: int = 0

    def __post_init__(self) -> None:
        self.oracle = Oracle(self.clock)
        self.stage = Stage(self.clock)
        self.ledger = MemoryLedger(
            self.clock,
            operations=EVERYTHING,
            key_life=self.plan.key_life,
            lag=self.plan.lag,
            late_by=self.plan.late_by,
            travel=self.stage.pause,
            witness=self.oracle,
        )

    @property
    def target(self) -> str:
        return f"books{self.number}"

    @property
    def crm(self) -> str:
        return f"crm{self.number}"

    @property
    def link(self) -> str:
        return f"link{self.number}"

    def next_run(self) -> UUID:
        """The id of another sync run."""
        self.runs += 1
        return UUID(int=RUN.int + self.runs)

    def happens(self, who: str, where: str, what: str) -> None:
        """Adds a line to the timeline."""
        self.timeline.append(Happening(self.clock.seconds, who, where, what))

    def doc(self, number: int) -> Doc | None:
        """The record with this number; None where the plan has lost it (a plan that is being made smaller)."""
        return next((doc for doc in self.plan.docs if doc.number == number), None)

    def is_named(self, number: int) -> bool:
        """Does another record's document rest on this one?"""
        return any(number in (doc.parent, doc.twin) for doc in self.plan.docs)

    def has_twin(self, doc: Doc) -> bool:
        """Does another record share its key? One of the two is held: such are not revised."""
        return doc.twin is not None or any(other.twin == doc.number for other in self.plan.docs)

    def operation(self, name: str) -> Operation:
        return EVERYTHING[name]

    # -- documents -----------------------------------------------------------------------------------------------------

    def uid(self, number: int, kind: str, revision: int) -> str:
        """Identity of a document: of the business facts alone, the same in every play."""
        return identity.doc_uid("acme", "crm", "Order", str(number), kind, revision)

    def create(self, doc: Doc, revision: int = 1) -> NewIntent:
        """The intent that makes the record's document."""
        body: dict[str, object] = {
            "record": doc.number,
            "kind": "payment" if doc.pays else "invoice",
            "number": natural_key(doc),
            "amount": self.amount(doc, revision),
            "revision": revision,
        }
        if doc.refuse and revision == 1:
            body["refuse"] = doc.refuse
        if doc.parent is not None:
            body["pays" if doc.pays else "customer"] = placeholder(self.uid(doc.parent, "invoice", 1))
        return self._intent(doc, "payment" if doc.pays else "invoice", revision, doc.operation, body)

    def update(self, doc: Doc, revision: int, made: int) -> NewIntent:
        """The intent that brings the document of revision `made` to a later one."""
        first = json.loads(self.create(doc, made).body)
        first.pop("refuse", None)
        body = first | {
            "id": placeholder(self.uid(doc.number, "invoice", made)),
            "amount": self.amount(doc, revision),
            "revision": revision,
        }
        return self._intent(doc, "invoice", revision, "document.update", body)

    def void(self, doc: Doc, made: int) -> NewIntent:
        """The intent that voids the document of revision `made`."""
        body: dict[str, object] = {
            "id": placeholder(self.uid(doc.number, "invoice", made)), "record": doc.number, "kind": "void",
            "number": natural_key(doc), "void": True, "amount": 0, "revision": 10_000,
        }  # fmt: skip
        return self._intent(doc, "void", 1, "document.void", body)

    def amount(self, doc: Doc, revision: int) -> int:
        """Minor units: another for each record and revision; payments are equal parts of their invoice."""
        if not doc.pays:
            return 1000 + 10 * doc.number + revision
        parts = sum(1 for other in self.plan.docs if other.pays and other.parent == doc.parent)
        return (1001 + 10 * (doc.parent or 0)) // parts

    def _intent(self, doc: Doc, kind: str, revision: int, operation: str, body: dict[str, object]) -> NewIntent:
        uid = self.uid(doc.number, kind, revision)
        amount = body["amount"]
        assert isinstance(amount, int)
        return NewIntent(
            link=self.link,
            target=self.target,
            doc_uid=uid,
            kind=kind,
            operation=operation,
            revision=revision,
            source=self.crm,
            source_object="Order",
            source_id=str(doc.number),
            natural_key=natural_key(doc),
            entity=kind,
            idempotency_key=identity.idempotency_key(uid, "books", operation),
            body=json.dumps(body).encode(),
            currency="EUR",
            amount_minor=amount,
            frozen={"rate": "1.10", "rate_date": "2026-03-01"},
            source_system="simulated",
            source_entity="order",
            posting_date=date(2026, 3, 1),
        )

    def remember(self, intents: Sequence[NewIntent], new: Sequence[str]) -> None:
        """Keeps what was added, as it was."""
        for intent in intents:
            if intent.doc_uid in new:
                self.planned[intent.doc_uid] = intent


def natural_key(doc: Doc) -> str:
    """The document's number; a twin has its twin's."""
    same = doc.number if doc.twin is None else doc.twin
    return f"{'PAY' if doc.pays else 'INV'}-{same}"
