"""Judges every account of the CRM and plans the writes that make it show what finance says; then what became of them.

Finance is the master of all credit fields: what somebody typed over them is overwritten, and both values are logged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import text

from tieout.delivery import intents
from tieout.delivery.intents import NewIntent
from tieout.mapping.payload import bodies
from tieout.model.errors import Rejection
from tieout.model.identity import doc_uid, idempotency_key
from tieout.scenarios.billing import Hold, Row
from tieout.scenarios.credit.ledger_book import Book
from tieout.scenarios.credit.positions import Position, differs, position
from tieout.scenarios.frames import chunks, common_rows, native_frame
from tieout.scenarios.quarantine import hold_of, letters_of
from tieout.scenarios.services import Services
from tieout.store import audit, credit_positions, dead_letters, documents
from tieout.store.credit_positions import Standing
from tieout.store.documents import Judgement

ENTITY = "credit"
KIND = "credit"
OPERATION = "accounts.write_back"
#: States of a write that is not done yet.
UNDER_WAY = ("READY", "CLAIMED", "IN_FLIGHT", "UNKNOWN")


@dataclass(frozen=True, slots=True)
class _Told:
    """The last write of one account: its revision, what it said, what became of it."""

    revision: int
    doc_uid: str
    state: str
    shown: Mapping[str, Any]
    read_since: bool  # the account was staged again after it
    judge_again: bool  # the account was staged again, or its dead letter replayed, after the last judgement


@dataclass(frozen=True, slots=True)
class _Verdict:
    """A judgement, and what goes with it. `position` is to be written; `known` is what is so, written or not."""

    judgement: Judgement
    hold: Hold | None = None
    position: Position | None = None
    revision: int = 0
    overwritten: Mapping[str, tuple[object, object]] | None = None
    known: Position | None = None
    gone: bool = False


def plan(services: Services, book: Book, run_id: UUID) -> dict[str, int]:
    """Judges all accounts. Returns counts of outcomes, `planned` writes, how many undo an edit in the CRM, and how many
    customers of the ledger have open documents and stand for no account."""
    found, unreadable = common_rows(services, services.crm, ENTITY)
    rows = {row["account_id"]: row for row in found}
    currencies = {key: row["currency"] for key, row in rows.items() if row.get("currency")}
    stopped = {item.source_id: hold_of(item) for item in unreadable}
    for key, reason in letters_of(services, ENTITY, None).items():
        words = "mend the account in the CRM; it is checked again when it changes or is replayed"
        stopped[key] = Hold(
            reason, f"it is in quarantine: {reason}", "an account that passes its checks", reason, words
        )
    counts: Counter[str] = Counter(unmatched=len(book.items.keys() - set(book.customers.values())))
    for chunk in chunks(sorted(_versions(services).items())):
        told = _told(services, [key for key, _ in chunk])
        verdicts = [_judge(book, key, version, rows.get(key), stopped.get(key), currencies, told.get(key))
                    for key, version in chunk]  # fmt: skip
        counts.update(_write(services, book, verdicts, run_id))
    return dict(counts)


def settle(services: Services, run_id: UUID) -> dict[str, int]:
    """What delivery made of each write that was on its way. Returns counts of outcomes."""
    with services.engine.connect() as conn:
        pending = documents.waiting(conn, services.link.name, ENTITY)
    states = _states(services, [item.doc_uid for item in pending if item.doc_uid])
    settled = []
    for item in pending:
        state, reason, message = states.get(item.doc_uid or "", (None, None, None))
        if state == "CONFIRMED":
            settled.append(replace(item, outcome="posted", reason=None, message=None, posted_minor=item.source_minor))
        elif state in ("HELD", "REJECTED"):
            settled.append(replace(item, outcome="held", reason=reason, message=message))
    with services.engine.begin() as conn:
        documents.upsert(conn, services.link.name, ENTITY, settled, run_id)
    return dict(Counter(item.outcome for item in settled))


def _judge(
    book: Book, account_id: str, version: int, row: Row | None, stop: Hold | None, currencies: Mapping[str, str],
    told: _Told | None,
) -> _Verdict:  # fmt: skip
    base = Judgement(
        source_id=account_id, source_number=(row or {}).get("name"), outcome="not_billable", seen_version=version,
        currency=(row or {}).get("currency"), revision=told.revision if told else 0,
        doc_uid=told.doc_uid if told else None,
    )  # fmt: skip
    if stop is not None:
        return _Verdict(replace(base, outcome="quarantined", reason=stop.reason, message=stop.message))
    if row is None:
        return _Verdict(base, gone=True)  # there is nothing to write on
    made = position(book, account_id, row["currency"], currencies)
    if isinstance(made, Hold):
        return _Verdict(replace(base, outcome="held", reason=made.reason, message=made.message), hold=made)
    if made is None:
        return _nothing_to_say(base, row, told)
    base = replace(base, source_minor=made.open_minor, currency=made.currency)
    return replace(_compared(base, made, row, told), known=made)


def _nothing_to_say(base: Judgement, row: Row, told: _Told | None) -> _Verdict:
    """No limit and no customer in the ledger: what was shown once is taken away."""
    if told is None or all(row.get(name) is None for name in ("credit_limit_minor", "open_balance_minor")):
        return _Verdict(base)
    return _compared(replace(base, source_minor=0), Position(row["currency"], None, 0, 0, None, None), row, told)


def _compared(base: Judgement, made: Position, row: Row, told: _Told | None) -> _Verdict:
    """Whether the CRM shows it already, is being told, or has to be told."""
    wanted = made.shown()
    posted = replace(base, outcome="posted", posted_minor=base.source_minor)
    same_as_told = told is not None and dict(told.shown) == wanted
    if same_as_told and told is not None:
        if told.state in UNDER_WAY:
            return _Verdict(replace(base, outcome="pending"))
        if told.state == "CONFIRMED" and not told.read_since:
            return _Verdict(posted)  # what is staged is older than the write
        if told.state == "HELD" or (told.state == "REJECTED" and not (told.read_since or told.judge_again)):
            return _Verdict(replace(base, outcome="pending"))  # settle says why it waits
    if not differs(wanted, row):
        return _Verdict(posted)
    edited = None
    if told is not None and told.state == "CONFIRMED" and told.read_since:
        edited = differs(told.shown, row) or None
    revision = (told.revision if told else 0) + 1
    return _Verdict(replace(base, outcome="pending", revision=revision), None, made, revision, edited)


def _write(services: Services, book: Book, verdicts: Sequence[_Verdict], run_id: UUID) -> Counter[str]:
    """One transaction: judgements, writes, dead letters, and the log of what is overwritten."""
    planned = {item.judgement.source_id: item for item in verdicts if item.position is not None}
    new = _intents(services, book, list(planned.values()))
    uids = {one.source_id: one.doc_uid for one in new}
    judgements = [
        replace(item.judgement, doc_uid=uids.get(item.judgement.source_id, item.judgement.doc_uid)) for item in verdicts
    ]
    link = services.link.name
    letters = [_letter(services, item.judgement.source_id, item.hold) for item in verdicts if item.hold]
    edits = [item for item in verdicts if item.overwritten]
    standings = [_standing(item) for item in verdicts if not item.gone]
    gone = [item.judgement.source_id for item in verdicts if item.gone]
    with services.engine.begin() as conn:
        added = intents.add(conn, new, run_id, services.actor)
        documents.upsert(conn, link, ENTITY, judgements, run_id)
        credit_positions.keep(conn, link, standings, gone)
        audit.append(conn, f"link:{link}", [_event(services, item, run_id) for item in edits])
        dead_letters.record(
            conn, letters, link=link, connection=services.crm.name, stage="transform", run_id=run_id
        )  # fmt: skip
        dead_letters.close_mended(
            conn, connection=services.crm.name, link=link, entity=ENTITY, stages=["transform"],
            source_ids=[item.source_id for item in judgements],
            failing=[(letter.source_id, letter.reason) for letter in letters],
        )  # fmt: skip
    counts: Counter[str] = Counter(item.outcome for item in judgements)
    counts.update(planned=len(added.new), edits_undone=len(edits))
    return counts


def _standing(item: _Verdict) -> Standing:
    """The row of the page of limits."""
    judged, known = item.judgement, item.known
    base = Standing(judged.source_id, judged.source_number, judged.currency)
    if known is None:
        return replace(base, reason=judged.reason, message=judged.message)
    return replace(
        base, limit_minor=known.limit_minor, open_minor=known.open_minor, overdue_minor=known.overdue_minor,
        available_minor=known.available_minor, rates=known.rates,
    )  # fmt: skip


def _intents(services: Services, book: Book, verdicts: Sequence[_Verdict]) -> list[NewIntent]:
    if not verdicts:
        return []
    mapping, link = services.crm.mappings[ENTITY], services.link
    common = [
        {"_key": item.judgement.source_id, "_source_id": item.judgement.source_id, "credit_as_of": book.read_at,
         "account_id": item.judgement.source_id, **(item.position.shown() if item.position else {})}
        for item in verdicts
    ]  # fmt: skip
    native, refused, _ = native_frame(services, services.crm, ENTITY, common)
    if refused:
        # Our own figures in our own fields: a refusal is a fault of the mapping, never of an account.
        raise ValueError(f"{ENTITY} {refused[0].source_id}: {refused[0].message}")
    made = bodies(native, None, None, "_key", mapping.sent_nulls)
    new = []
    for item in verdicts:
        source_id, position_ = item.judgement.source_id, item.position
        uid = doc_uid(link.name, link.crm, mapping.object, source_id, KIND, item.revision)
        new.append(NewIntent(
            link=link.name, target=link.crm, doc_uid=uid, kind=KIND, operation=OPERATION, revision=item.revision,
            source=link.crm, source_object=mapping.object, source_id=source_id, natural_key=source_id,
            source_system=services.crm.system, source_entity=ENTITY,
            idempotency_key=idempotency_key(uid, link.crm, OPERATION), body=made.loc[source_id], entity=ENTITY,
            frozen={"shown": position_.shown() if position_ else {}, "mapping": services.mapping_hash},
            owner=link.owners.get("credit", "finance"),
        ))  # fmt: skip
    return new


def _versions(services: Services) -> dict[str, int]:
    """Every staged account, gone or not: each has an outcome."""
    table = services.crm.mappings[ENTITY].staged_entity().table
    with services.engine.connect() as conn:
        rows = conn.execute(
            text(f"select _source_id, _version from staging.{table} where _connection = :crm"),  # noqa: S608
            {"crm": services.crm.name},
        )
        return {row._source_id: row._version for row in rows}


def _told(services: Services, ids: Sequence[str]) -> dict[str, _Told]:
    mapping = services.crm.mappings[ENTITY]
    with services.engine.connect() as conn:
        rows = conn.execute(
            text(
                f"""
                select distinct on (i.source_id) i.source_id, i.revision, i.doc_uid, i.state,
                    i.frozen -> 'shown' as shown, s._staged_at > i.updated_at as read_since,
                    s._version > d.seen_version as judge_again
                from tieout.intent i join staging.{mapping.staged_entity().table} s
                  on s._connection = i.source and s._source_id = i.source_id
                left join tieout.document d on d.link = i.link and d.object = :entity and d.source_id = i.source_id
                where i.link = :link and i.target = :crm and i.source = :crm and i.source_object = :object
                  and i.kind = :kind and i.source_id = any(:ids)
                order by i.source_id, i.revision desc
                """  # noqa: S608 - the table's name comes from StagedEntity
            ),
            {"link": services.link.name, "crm": services.crm.name, "object": mapping.object, "kind": KIND,
             "entity": ENTITY, "ids": list(ids)},
        )  # fmt: skip
        return {
            row.source_id: _Told(
                row.revision, row.doc_uid, row.state, row.shown, bool(row.read_since), bool(row.judge_again)
            )
            for row in rows
        }


def _states(services: Services, uids: Sequence[str]) -> dict[str, tuple[str, str | None, str | None]]:
    with services.engine.connect() as conn:
        rows = conn.execute(
            text("select doc_uid, state, reason, message from tieout.intent where target = :crm and doc_uid = any(:u)"),
            {"crm": services.crm.name, "u": list(uids)},
        )
        return {row.doc_uid: (row.state, row.reason, row.message) for row in rows}


def _letter(services: Services, source_id: str, hold: Hold) -> Rejection:
    return Rejection(
        services.crm.system, ENTITY, source_id, hold.reason, hold.message, hold.expected, hold.found, hold.remedy
    )


def _event(services: Services, item: _Verdict, run_id: UUID) -> audit.Event:
    fields = {name: {"master": a, "overwritten": b} for name, (a, b) in (item.overwritten or {}).items()}
    subject = f"account:{item.judgement.source_id}"
    return audit.Event(services.actor, "master.overwrote", subject, {"side": "crm", "fields": fields}, run_id)
