"""The invariants of docs/delivery.md as checks over the database and the ledger of tests/support/ledger.py.

Each raises AssertionError with the invariant's name. S4 is checked while bytes leave (`sees_committed_intent`).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.engine import Engine

from tests.support.ledger import MemoryLedger
from tieout.connectors.base import Request
from tieout.delivery.states import TERMINAL, chain_of
from tieout.store import audit


def sees_committed_intent(engine: Engine) -> Callable[[Sequence[Request]], None]:
    """S4: before a byte leaves, another session sees a committed IN_FLIGHT intent, `sent_at` and these bytes' hash."""

    def check(requests: Sequence[Request]) -> None:
        with engine.connect() as conn:
            for request in requests:
                found = conn.exec_driver_sql(
                    "select i.state, i.sent_at, a.request_hash from tieout.intent i join tieout.attempt a "
                    "using (intent_id, fence) where i.doc_uid = %(uid)s and a.kind = 'send'",
                    {"uid": request.doc_uid},
                ).all()
                assert len(found) == 1, f"S4: {request.doc_uid} is sent with {len(found)} attempts under its fence"
                row = found[0]
                assert row.state == "IN_FLIGHT" and row.sent_at is not None, f"S4: {request.doc_uid} is {row.state}"
                assert row.request_hash == hashlib.sha256(request.body).hexdigest(), "S4: other bytes than committed"

    return check


def check_always(engine: Engine, ledger: MemoryLedger, target: str) -> None:
    """What holds at any moment between two transactions."""
    with engine.connect() as conn:
        intents = [dict(r) for r in conn.exec_driver_sql("select * from tieout.intent").mappings()]
        crosswalk = [dict(r) for r in conn.exec_driver_sql("select * from tieout.crosswalk").mappings()]
        events = [
            dict(r)
            for r in conn.exec_driver_sql(
                "select * from tieout.audit_event where chain = %(chain)s order by seq", {"chain": chain_of(target)}
            ).mappings()
        ]
        broken = audit.verify(conn, chain_of(target))
    assert broken is None, f"S19: {broken}"
    _one_live_document(intents, ledger)
    _confirmed_is_there(intents, ledger)
    _same_key_same_bytes(ledger)
    _crosswalk_is_one_to_one(crosswalk, ledger)
    _audit_tells_every_change(intents, events)
    _ready_only_after_quiet(intents, events, ledger)


def check_ended(engine: Engine, *, terminal: tuple[str, ...] = ("CONFIRMED", "REJECTED", "HELD")) -> None:
    """L1, L2: what holds when the faults have stopped and the deliveries have run out of work."""
    with engine.connect() as conn:
        rows = conn.exec_driver_sql("select doc_uid, state, reason, owner from tieout.intent").all()
    for row in rows:
        assert row.state in terminal, f"L1: {row.doc_uid} is {row.state} ({row.reason})"
        assert row.state != "HELD" or (row.reason and row.owner), f"L2: {row.doc_uid}"


def _one_live_document(intents: list[dict[str, Any]], ledger: MemoryLedger) -> None:
    stamps = Counter(each.stamp for each in ledger.documents if each.stamp)
    known = {each["doc_uid"] for each in intents}
    for stamp, live in stamps.items():
        assert live == 1, f"S1: {live} live documents of {stamp}"
        assert stamp in known, f"S2: a document of {stamp}, which no intent has"


def _confirmed_is_there(intents: list[dict[str, Any]], ledger: MemoryLedger) -> None:
    bodies = {each.vendor_id: each for each in ledger.documents}
    for each in intents:
        if each["state"] == "CONFIRMED" and each["reason"] != "accepted":
            there = bodies.get(each["vendor_id"])
            assert there is not None, f"S3: {each['doc_uid']} is confirmed and not there"
            if b"{{vendor_id:" not in bytes(each["body"]) and ledger.operation(each["operation"]).creates:
                assert there.body == bytes(each["body"]) or _changed_later(each, intents), "S3: content differs"


def _changed_later(intent: dict[str, Any], intents: list[dict[str, Any]]) -> bool:
    return any(
        other["natural_key"] == intent["natural_key"] and other["revision"] > intent["revision"] for other in intents
    )


def _same_key_same_bytes(ledger: MemoryLedger) -> None:
    bytes_of: dict[str, set[bytes]] = defaultdict(set)
    for sent in ledger.sent:
        bytes_of[sent.request.idempotency_key].add(sent.request.body)
    for key, bodies in bytes_of.items():
        assert len(bodies) == 1, f"S5: {len(bodies)} bodies under the key {key}"


def _crosswalk_is_one_to_one(crosswalk: list[dict[str, Any]], ledger: MemoryLedger) -> None:
    stamp_of = {each.vendor_id: each.stamp for each in ledger.documents}
    for row in crosswalk:
        assert stamp_of.get(row["vendor_id"], row["doc_uid"]) in (None, row["doc_uid"]), f"S7: {row}"
    for column in ("vendor_id", "doc_uid"):
        seen = Counter((row["target"], row[column]) for row in crosswalk)
        assert all(count == 1 for count in seen.values()), f"S7: {column} twice"


def _audit_tells_every_change(intents: list[dict[str, Any]], events: list[dict[str, Any]]) -> None:
    last: dict[str, str] = {}
    for event in events:
        subject, detail = event["subject"], event["detail"]
        if event["event"] == "intent.created":
            assert subject not in last, f"S19: {subject} was created twice"
            last[subject] = "READY"
        elif event["event"] == "intent.state":
            assert last[subject] == detail["from"], f"S19: {subject} was {last[subject]}, the row says {detail}"
            by_person = event["actor"].startswith("person:")
            assert detail["from"] not in TERMINAL or by_person, f"S8: {subject} changed after {detail['from']}"
            last[subject] = detail["to"]
    for each in intents:
        told = last.get(f"intent:{each['intent_id']}")
        assert told == each["state"], f"S19: {each['doc_uid']} is {each['state']}, its last row says {told}"


def _ready_only_after_quiet(intents: list[dict[str, Any]], events: list[dict[str, Any]], ledger: MemoryLedger) -> None:
    by_subject = {f"intent:{each['intent_id']}": each for each in intents}
    for event in events:
        detail = event["detail"]
        if event["event"] != "intent.state" or (detail["from"], detail["to"]) != ("UNKNOWN", "READY"):
            continue
        intent = by_subject[event["subject"]]
        at = (event["at"] - ledger.clock.start).total_seconds()
        sends = [s.at for s in ledger.sent if s.request.doc_uid == intent["doc_uid"] and s.at < at]
        looks = [when for when, uid in ledger.looked_up if uid == intent["doc_uid"] and when < at]
        assert looks, f"S6: {event['subject']} became READY without a look-up"
        if sends:
            # Added up here: the code that is tested is not asked how long it should have waited.
            declared = ledger.operation(intent["operation"])
            quiet = declared.time_out + declared.latest_apply + declared.look_up_lag
            assert max(looks) >= max(sends) + quiet - 1e-6, f"S6: looked up {max(looks) - max(sends)} s after the send"
