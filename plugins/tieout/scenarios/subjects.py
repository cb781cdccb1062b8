"""What a link bills, and everything that is known of some of its records before they are judged. Read-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from tieout.scenarios.billing import Hold, Row
from tieout.scenarios.customer_book import Party
from tieout.scenarios.frames import common_rows, grouped, parent_column
from tieout.scenarios.plans import Planned
from tieout.scenarios.quarantine import hold_of, letters_of, parents_of
from tieout.scenarios.quotes import accepted_quotes
from tieout.scenarios.services import Services
from tieout.scenarios.successors import Successor
from tieout.store import documents
from tieout.store.documents import Judgement


@dataclass(frozen=True, slots=True)
class Subject:
    """What the link bills: orders, or won opportunities. `entity` is also the word in `tieout.document`."""

    entity: str
    lines: str


SUBJECTS = {
    "order_activated": Subject("order", "order_line"),
    "opportunity_won": Subject("opportunity", "opportunity_line"),
}


def subject_of(services: Services) -> Subject:
    """What this link bills."""
    return SUBJECTS[services.link.policies.trigger]


def parts_of(services: Services, subject: Subject) -> documents.Parts:
    """Where the subject's records and their lines are staged."""
    return documents.Parts(
        head=services.crm.mappings[subject.entity].staged_entity().table,
        lines=services.crm.mappings[subject.lines].staged_entity().table,
        parent_column=parent_column(services.crm, subject.lines),
    )


@dataclass(frozen=True)
class Chunk:
    """Everything that is known of some records before they are judged."""

    versions: Mapping[str, int]
    heads: Mapping[str, Row]
    lines: Mapping[str, Sequence[Row]]
    quotes: Mapping[str, Row]
    quote_lines: Mapping[str, Sequence[Row]]
    stopped: Mapping[str, Hold]  # quarantined or unreadable, with the reason
    previous: Mapping[str, Judgement]
    live: Mapping[str, Planned]
    parties: Mapping[str, Party | Hold] = field(default_factory=dict)
    merged: Mapping[str, Successor] = field(default_factory=dict)


def read_chunk(services: Services, subject: Subject, versions: Mapping[str, int]) -> Chunk:
    ids = sorted(versions)
    heads, unreadable = common_rows(services, services.crm, subject.entity, ids=ids)
    lines, bad_lines = common_rows(services, services.crm, subject.lines, parents=ids)
    quotes = accepted_quotes(services, subject.entity, heads)
    stopped = {item.source_id: hold_of(item) for item in unreadable} | dict(quotes.stopped)
    parents = parents_of(services, subject.lines, "parent_id", [item.source_id for item in bad_lines])
    for item in bad_lines:
        stopped.setdefault(parents.get(item.source_id, ""), hold_of(item))
    stopped |= quarantined(services, subject, ids)
    with services.engine.connect() as conn:
        previous = documents.latest(conn, services.link.name, subject.entity, ids)
    return Chunk(
        versions=versions,
        heads={row["_source_id"]: row for row in heads},
        lines=grouped(lines),
        quotes=quotes.quotes,
        quote_lines=quotes.lines,
        stopped=stopped,
        previous=previous,
        live=live_documents(services, subject, ids),
    )


def quarantined(services: Services, subject: Subject, ids: Sequence[str]) -> dict[str, Hold]:
    """Records that the checks stopped, themselves or by one of their lines."""
    stopped = {
        source_id: Hold(reason, f"it is in quarantine: {reason}", "a record that passes its checks", reason,
                        "mend it in the CRM; it is checked again when it changes or is replayed")
        for source_id, reason in letters_of(services, subject.entity, set(ids)).items()
    }  # fmt: skip
    bad_lines = letters_of(services, subject.lines, None)
    parents = parents_of(services, subject.lines, "parent_id", bad_lines)
    for line_id, parent in parents.items():
        reason = bad_lines[line_id]
        stopped.setdefault(
            parent,
            Hold(reason, f"its line {line_id} is in quarantine: {reason}", "lines that pass their checks", reason,
                 "mend the line in the CRM; it is checked again when it changes or is replayed"),
        )  # fmt: skip
    return stopped


def live_documents(services: Services, subject: Subject, ids: Sequence[str]) -> dict[str, Planned]:
    """The latest invoice intent of each record, with what the ledger says of its invoice."""
    with services.engine.connect() as conn:
        found = invoice_intents(conn, services, subject, ids)
    posted = {row["vendor_id"] for rows in found.values() for row in rows if row["vendor_id"]}
    invoices = common_rows(services, services.ledger, "invoice", ids=posted)[0] if posted else []
    by_id = {row["invoice_id"]: row for row in invoices}
    live = {}
    for key, (last, *earlier) in found.items():
        beneath = None if last["state"] == "CONFIRMED" else next(filter(_in_force, earlier), None)
        under = None if beneath is None else Planned(beneath, by_id.get(beneath["vendor_id"]))
        live[key] = Planned(last, by_id.get(last["vendor_id"]), under)
    return live


def _in_force(intent: Mapping[str, Any]) -> bool:
    """It was posted, and we have not taken it back."""
    return bool(intent["state"] == "CONFIRMED" and intent["reversal"] != "CONFIRMED")


def invoice_intents(
    conn: Connection, services: Services, subject: Subject, ids: Sequence[str]
) -> dict[str, list[Mapping[str, Any]]]:
    """source id -> its invoice intents, the latest first, each with the latest reversal of that revision."""
    rows = conn.execute(
        text(
            """
            select i.source_id, i.doc_uid, i.revision, i.state, i.sends, i.vendor_id, i.operation, i.depends_on,
                i.vendor_number, i.natural_key, i.reason, i.message, i.frozen,
                r.state as reversal, r.doc_uid as reversal_uid, r.frozen ->> 'proposal' as reversal_proposal,
                cast(r.frozen ->> 'at_version' as bigint) as reversal_version
            from tieout.intent i left join lateral (
                select s.state, s.doc_uid, s.frozen from tieout.intent s
                where s.source = i.source and s.source_id = i.source_id and s.target = i.target
                  and s.source_object = i.source_object and s.revision = i.revision
                  and s.kind in ('void', 'credit_memo') order by s.intent_id desc limit 1) r on true
            where i.link = :link and i.target = :target and i.source = :source and i.source_object = :object
              and i.kind = 'invoice' and i.source_id = any(:ids)
            order by i.source_id, i.revision desc
            """
        ),
        {
            "link": services.link.name, "target": services.ledger.name, "source": services.crm.name,
            "object": services.crm.mappings[subject.entity].object, "ids": list(ids),
        },
    ).mappings()  # fmt: skip
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["source_id"], []).append(dict(row))
    return found
