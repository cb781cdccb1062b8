"""The invariants of docs/delivery.md over the store's rows and the ledger. Each breach raises Broken with its name.

Here: S2 S3 S7 S8 S18 S19 and S6's look-up on any rows; S4 while bytes leave; with a world's plan S10 S11 S15 S16 S17,
L1 L2 L4. In oracle.py, at the vendor's door: S1 S5 S6 S9 S14. In player.py: S13, and that running again adds nothing.
Checked elsewhere, for delivery has no part in them: S10's sums of a run and S11's rounding (scenarios, model/money),
S12 (watermarks: store, scenarios), S16's choice of a policy (scenarios), L3 (reconcile). S15's and S17's decisions are
those of scenarios; here is what delivery does with them.

C1: a claim never waits for another's claim. C2: one poster at a time where nothing is guarded. C3: no send starts so
late that its answer could come after the lease. C4: where nothing is guarded, who sends has just looked. C5: no record
writes over another's document. E1: no worker ends by an error of its own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import Any

import psycopg

from tieout.connectors.base import Operation, Request
from tieout.delivery.simulation.ledger import MemoryLedger
from tieout.delivery.simulation.oracle import Broken, Oracle
from tieout.delivery.simulation.rows import Rows
from tieout.delivery.states import TERMINAL, State
from tieout.model.identity import canonical_json
from tieout.store.audit import GENESIS

_S4 = """
select i.doc_uid, i.state, i.sent_at, i.lease_until, a.request_hash from tieout.intent i
join tieout.attempt a using (intent_id, fence)
where i.target = %s and i.doc_uid = any(%s) and a.kind = 'send'
"""
_PLACEHOLDER = re.compile(rb"\{\{vendor_id:([^}]+)\}\}")


def committed_before_send(
    watch: psycopg.Connection[Any], target: str, operation: Operation, requests: Sequence[Request], now: Any
) -> None:
    """S4: before a byte leaves, another session sees a committed IN_FLIGHT intent, `sent_at` and these bytes' hash.

    C3: and a lease that outlasts the time-out. `now` is what the database's clock shows.
    """
    found: dict[str, list[Any]] = defaultdict(list)
    for row in watch.execute(_S4, (target, [request.doc_uid for request in requests])):
        found[str(row[0])].append(row)
    for request in requests:
        rows = found[request.doc_uid]
        if len(rows) != 1:
            raise Broken("S4", f"{request.natural_key} is sent with {len(rows)} marks under its fence")
        _, state, sent_at, lease_until, request_hash = rows[0]
        if state != State.IN_FLIGHT or sent_at is None:
            raise Broken("S4", f"{request.natural_key} is sent while it is {state}")
        if request_hash != hashlib.sha256(request.body).hexdigest():
            raise Broken("S4", f"{request.natural_key} is sent with other bytes than were committed")
        if lease_until - timedelta(seconds=operation.time_out - 0.001) < now:
            raise Broken("C3", f"{request.natural_key} is sent {(lease_until - now).total_seconds():.2f} s before "
                         f"its lease ends, the time-out is {operation.time_out} s")  # fmt: skip


def check_rows(rows: Rows, ledger: MemoryLedger, oracle: Oracle | None = None) -> None:
    """What holds at any moment between two transactions."""
    _chain_holds(rows)
    _audit_tells_every_change(rows)
    _ready_only_after_a_look(rows)
    _every_document_has_an_intent(rows, ledger)
    _confirmed_is_there(rows, ledger)
    _crosswalk_is_one_to_one(rows, ledger)
    if oracle is not None:
        _attempts_say_what_the_ledger_said(rows, oracle)


def filled(body: bytes, vendor_id_of: dict[str, str]) -> bytes:
    """The bytes that must have been sent, made here without the code that is tested."""
    return _PLACEHOLDER.sub(lambda found: vendor_id_of.get(found[1].decode(), "?").encode(), body)


def _chain_holds(rows: Rows) -> None:
    """S19: the hash chain, computed here anew."""
    previous = GENESIS
    for number, event in enumerate(rows.events, start=1):
        content = {
            "chain": event.chain, "seq": event.seq, "actor": event.actor, "event": event.event,
            "subject": event.subject, "detail": event.detail,
            "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "run_id": None if event.run_id is None else str(event.run_id),
        }  # fmt: skip
        right = hashlib.sha256(previous.encode() + canonical_json(content)).hexdigest()
        if (event.seq, event.prev_hash, event.hash) != (number, previous, right):
            raise Broken("S19", f"the audit chain does not hold at event {number}")
        previous = event.hash
    if rows.events and (rows.head is None or (rows.head.seq, rows.head.hash) != (len(rows.events), previous)):
        raise Broken("S19", "the head of the audit chain is not its last event")


def _audit_tells_every_change(rows: Rows) -> None:
    last: dict[str, str] = {}
    for event in rows.events:
        subject, detail = event.subject, event.detail
        if event.event == "intent.created":
            if subject in last:
                raise Broken("S19", f"{subject} was created twice")
            last[subject] = State.READY
        elif event.event == "intent.state":
            if last.get(subject) != detail["from"]:
                raise Broken("S19", f"an intent was {last.get(subject)}, its next audit row says {detail}")
            if detail["from"] in TERMINAL and not event.actor.startswith("person:"):
                raise Broken("S8", f"an intent changed from {detail['from']} to {detail['to']} by {event.actor}")
            last[subject] = detail["to"]
    for intent in rows.intents:
        told = last.get(f"intent:{intent.intent_id}")
        if told != intent.state:
            raise Broken("S19", f"{intent.natural_key} is {intent.state}, its last audit row says {told}")


def _ready_only_after_a_look(rows: Rows) -> None:
    """S6: out of UNKNOWN into READY leads only a look-up, made under the same fence."""
    looked = {(a.intent_id, a.fence) for a in rows.attempts if a.kind == "look_up"}
    for event in rows.events:
        if event.event == "intent.state" and (event.detail["from"], event.detail["to"]) == ("UNKNOWN", "READY"):
            intent_id = int(event.subject.removeprefix("intent:"))
            if (intent_id, event.detail["fence"]) not in looked:
                raise Broken("S6", f"{rows.by_id[intent_id].natural_key} became READY without a look-up")


def _every_document_has_an_intent(rows: Rows, ledger: MemoryLedger) -> None:
    known = {intent.doc_uid for intent in rows.intents}
    stamps = Counter(each.stamp for each in ledger.documents if each.stamp is not None and each.is_live)
    for stamp, live in stamps.items():
        if live > 1:
            raise Broken("S1", f"{live} live documents of one intent")
        if stamp not in known:
            raise Broken("S2", "a document with our stamp that no intent has")


def _confirmed_is_there(rows: Rows, ledger: MemoryLedger) -> None:
    """S3: of each vendor document, the last confirmed revision is what is there; a confirmed void means voided."""
    there = {document.vendor_id: document for document in ledger.documents}
    last: dict[str, Any] = {}
    voided: set[str] = set()
    for intent in rows.intents:
        if intent.state != State.CONFIRMED:
            continue
        if intent.vendor_id not in there:
            raise Broken("S3", f"{intent.natural_key} is confirmed as {intent.vendor_id}, which is not there")
        if json.loads(bytes(intent.body)).get("void"):
            voided.add(intent.vendor_id)
        elif intent.reason != "accepted" and intent.revision >= getattr(last.get(intent.vendor_id), "revision", 0):
            last[intent.vendor_id] = intent
    for vendor_id, intent in last.items():
        if there[vendor_id].body != filled(bytes(intent.body), rows.vendor_id_of):
            raise Broken("S3", f"{intent.natural_key} is confirmed, its content in the ledger is another")
        if there[vendor_id].is_live == (vendor_id in voided):
            raise Broken("S3", f"{intent.natural_key}: live in the ledger {there[vendor_id].is_live}, voided by us "
                         f"{vendor_id in voided}")  # fmt: skip


def _crosswalk_is_one_to_one(rows: Rows, ledger: MemoryLedger) -> None:
    stamp_of = {each.vendor_id: each.stamp for each in ledger.documents}
    for column in ("vendor_id", "doc_uid"):
        seen = Counter(getattr(row, column) for row in rows.crosswalk)
        if seen and max(seen.values()) > 1:
            raise Broken("S7", f"the crosswalk holds a {column} twice")
    kept = {(row.vendor_id, row.doc_uid) for row in rows.crosswalk}
    of = {row.doc_uid for row in rows.crosswalk}
    for intent in rows.intents:
        if intent.state == State.CONFIRMED and intent.operation.endswith(".create"):
            if (intent.vendor_id, intent.doc_uid) not in kept:
                raise Broken("S7", f"{intent.natural_key} is confirmed, and the crosswalk does not have it so")
            stamp = stamp_of.get(intent.vendor_id)
            if stamp is not None and stamp != intent.doc_uid and stamp in of:
                raise Broken("S7", f"{intent.natural_key} has another intent's document")


def _attempts_say_what_the_ledger_said(rows: Rows, oracle: Oracle) -> None:
    """S18: each item has its own end: what an attempt says is what the ledger said of that item."""
    for attempt in rows.attempts:
        if attempt.kind == "send" and attempt.outcome in ("applied", "refused", "throttled"):
            intent = rows.by_id[attempt.intent_id]
            if attempt.outcome not in oracle.said[intent.doc_uid, attempt.worker]:
                raise Broken("S18", f"an attempt for {intent.natural_key} says {attempt.outcome}, the ledger said "
                             f"{oracle.said[intent.doc_uid, attempt.worker]}")  # fmt: skip
