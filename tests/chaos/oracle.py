"""The oracle: reads what the sandbox really applied from its own state, and compares it with what was planned.

It goes by the sandbox's files, not by its API, and shares no code with the connectors or with delivery. Beside the
documents it looks at the store: states, crosswalk, audit chains.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from sandbox.state import decode
from tests.chaos.company import CRM, LEDGER, Planned, Wanted
from tieout.delivery.states import chain_of
from tieout.store import audit

Record = dict[str, Any]
#: Kinds of intents whose document gets a row of the crosswalk.
_MADE = ("customer", "invoice", "credit_memo", "allocation")


@dataclass
class Judged:
    """What is wrong, in words; nothing where all is well.

    Attributes:
        duplicates: documents beyond the first of a planned one. losses: planned documents that are not there.
        differing: documents with other content. orphans: documents that nobody planned.
        open: intents that are not CONFIRMED. store: crosswalk and audit chains.
    """

    duplicates: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    store: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.words()

    def words(self) -> list[str]:
        """Every finding with its kind."""
        return [f"{name}: {one}" for name, found in vars(self).items() for one in found]


def judge(state: Path, conn: Connection, planned: Planned) -> Judged:
    """The books of the sandbox whose state directory is given, and the store, against the plan."""
    judged = Judged()
    there = _documents(state)
    ids = _compare(there, planned.wanted, judged)
    _intents(conn, planned, judged)
    _crosswalk(conn, planned, ids, judged)
    for target in (LEDGER, CRM):
        broken = audit.verify(conn, chain_of(target))
        if broken is not None:
            judged.store.append(f"audit chain of {target}: {broken}")
    return judged


# --- the vendors' side ------------------------------------------------------------------------------------------------


def _documents(state: Path) -> dict[tuple[str, str], list[Record]]:
    """(table, key) -> records, each with `_id`; a document's contact as its number, an allocation by both its ends."""
    tables = {name: dict(_rows(state / "xero.sqlite", name)) for name in
              ("Contacts", "Invoices", "CreditNotes", "Allocations")}  # fmt: skip
    numbers = {id_: record.get("ContactNumber") for id_, record in tables["Contacts"].items()}
    found: dict[tuple[str, str], list[Record]] = {}

    def add(table: str, key: str, id_: str, record: Record) -> None:
        found.setdefault((table, key), []).append({**record, "_id": id_.lower()})

    for id_, record in tables["Contacts"].items():
        add("Contacts", record.get("ContactNumber") or record["Name"], id_, record)
    for table, key in (("Invoices", "InvoiceNumber"), ("CreditNotes", "Reference")):
        for id_, record in tables[table].items():
            add(table, record[key], id_, {**record, "Contact": numbers.get(record["ContactID"])})
    for id_, record in tables["Allocations"].items():
        source, invoice = tables["CreditNotes"][record["SourceID"]], tables["Invoices"][record["InvoiceID"]]
        add("Allocations", f"{source['Reference']}>{invoice['InvoiceNumber']}", id_, record)
    for id_, record in _rows(state / "salesforce.sqlite", "Account"):
        written = str(record.get("Tieout_Ledger_Id__c") or "")
        if written:  # an account is there before; the document is what was written into it
            add("Account", id_, id_, {"Tieout_Ledger_Id__c": numbers.get(written.lower(), written)})
    return found


def _rows(file: Path, table: str) -> Iterator[tuple[str, Record]]:
    # A transaction of the sandbox is on its file before it answers; WAL lets us read beside it.
    conn = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)
    try:
        for id_, body in conn.execute("select id, body from record where tbl = ? order by seq", (table,)).fetchall():
            yield id_, decode(body)
    finally:
        conn.close()


def _compare(
    there: Mapping[tuple[str, str], Sequence[Record]], wanted: Sequence[Wanted], judged: Judged
) -> dict[str, str]:
    """Fills what is wrong with the documents; returns doc_uid of the creating intent -> the document's id."""
    ids = {}
    for one in wanted:
        found = there.get((one.table, one.key), ())
        name = f"{one.table} {one.key}"
        if not found:
            judged.losses.append(name)
            continue
        judged.duplicates += [f"{name} is there {len(found)} times"] * (len(found) - 1)
        differing = {field: (value, _plain(field, found[0].get(field))) for field, value in one.fields.items()}
        judged.differing += [
            f"{name}.{field}: planned {value!r}, found {seen!r}"
            for field, (value, seen) in differing.items()
            if value != seen
        ]
        if one.table != "Account":
            ids[one.doc_uids[0]] = found[0]["_id"]
    planned = {(one.table, one.key) for one in wanted}
    judged.orphans += [f"{table} {key}" for table, key in there if (table, key) not in planned]
    return ids


def _plain(field: str, value: Any) -> Any:
    if field == "LineItems":
        names = ("Description", "Quantity", "UnitAmount", "AccountCode", "TaxType")
        return [tuple(line[name] for name in names) for line in value]
    if isinstance(value, date):
        return value.isoformat()[:10]
    return value


# --- the store's side -------------------------------------------------------------------------------------------------


def _intents(conn: Connection, planned: Planned, judged: Judged) -> None:
    rows = conn.exec_driver_sql("select doc_uid, kind, source_id, state, reason, message from tieout.intent").all()
    known = {row.doc_uid for row in rows}
    judged.open += [
        f"{row.kind} {row.source_id} is {row.state}: {row.reason} ({row.message})"
        for row in rows
        if row.state != "CONFIRMED"
    ]
    wanted = {uid for one in planned.wanted for uid in one.doc_uids}
    judged.losses += [f"intent {uid} was never planned" for uid in wanted - known]
    judged.orphans += [f"intent {uid} belongs to nothing" for uid in known - wanted]


def _crosswalk(conn: Connection, planned: Planned, ids: Mapping[str, str], judged: Judged) -> None:
    rows = conn.exec_driver_sql("select doc_uid, vendor_id from tieout.crosswalk where target = %s", (LEDGER,)).all()
    for name in ("doc_uid", "vendor_id"):
        judged.store += [
            f"crosswalk: {name} {value} {times} times"
            for value, times in Counter(getattr(row, name) for row in rows).items()
            if times > 1
        ]
    crossed = {row.doc_uid: row.vendor_id for row in rows}
    making = {intent.doc_uid for intent in planned.intents if intent.kind in _MADE}
    expected = {uid: id_ for uid, id_ in ids.items() if uid in making}
    judged.store += [
        f"crosswalk: {uid} stands for {crossed.get(uid)}, in the books it is {id_}"
        for uid, id_ in expected.items()
        if crossed.get(uid) != id_
    ]
    judged.store += [f"crosswalk: {uid} stands for a document that is not there" for uid in set(crossed) - set(ids)]
