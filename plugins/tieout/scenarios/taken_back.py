"""After an approval: delivering a proposal at once, closing the account of what it takes back, billing that again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import text

from tieout.scenarios import quote_to_cash
from tieout.scenarios.extraction import read_again
from tieout.scenarios.frames import common_rows
from tieout.scenarios.rollback import NAME
from tieout.scenarios.services import Services
from tieout.scenarios.subjects import subject_of
from tieout.store import audit, documents, proposals, runs
from tieout.store.proposals import Item, NotAllowed, Proposal
from tieout.store.staging_tables import bump_table


@dataclass(slots=True)
class Closing:
    """What became of a proposal in one currency, in minor units with tax.

    `original` = what was settled as `reversed` + `waiting` + `refused`; `difference` is what the reversals come to less
    the originals that they settled, and has to be 0.
    """

    documents: int = 0
    original: int = 0
    reversed: int = 0
    waiting: int = 0
    refused: int = 0
    difference: int = 0

    @property
    def clean(self) -> bool:
        """Everything was taken back, to the cent."""
        return self.waiting == self.refused == self.difference == 0


def deliver(services: Services, proposal_id: int) -> dict[str, Any]:
    """Delivers an approved proposal now instead of in the link's next run, and tells the CRM. Can be repeated.

    Returns:
        `deliver` and `write_back` as in quote-to-cash, `closing` {currency: Closing as a dict}.

    Raises:
        NotAllowed: it is not approved, or another link's.
    """
    with services.engine.begin() as conn:
        found = _of_link(services, proposals.get(conn, proposal_id), proposal_id)
        if found.state not in ("approved", "done"):
            raise NotAllowed(f"proposal {proposal_id} is {found.state}; only an approved one is delivered")
        run = runs.start(
            conn, link=found.link, scenario=NAME, trigger="manual",
            mapping_hash=services.mapping_hash, suite_hash=services.suite_hash,
        )  # fmt: skip
    numbers: dict[str, Any] = {"deliver": quote_to_cash.deliver(services, str(run))}
    # What an allocation does to its invoice is in no answer: read, so that the CRM shows it at once.
    acted = [item.vendor_id for item in found.items if item.vendor_id and item.action != "none"
             and item.entity == "invoice"]  # fmt: skip
    read_again(services, services.ledger, "invoice", acted, run)
    numbers["write_back"] = quote_to_cash.write_back(services, str(run))
    closed = closing(services, found)
    numbers["closing"] = {currency: asdict(part) for currency, part in closed.items()}
    counts = {"proposal": proposal_id, "closing": numbers["closing"]}
    with services.engine.begin() as conn:
        clean = all(part.clean for part in closed.values())
        runs.finish(conn, run, "succeeded" if clean else "partial", counts=counts)
    return numbers


def closing(services: Services, found: Proposal) -> dict[str, Closing]:
    """Currency -> what was to be taken back and what was, by what the ledger says of each document now."""
    with services.engine.connect() as conn:
        states = proposals.states(conn, found.proposal_id)
        rows = conn.execute(
            text("select doc_uid, vendor_id from tieout.crosswalk where target = :target and doc_uid = any(:uids)"),
            {"target": found.target, "uids": [one.doc_uid for parts in states.values() for one in parts]},
        )
        notes = {row.doc_uid: row.vendor_id for row in rows}
    acted = {position: item for position, item in enumerate(found.items, start=1) if item.action in ("void", "credit")}
    totals = _totals(services, acted.values(), notes.values())
    parts: dict[str, Closing] = defaultdict(Closing)
    for position, item in acted.items():
        part, amount = parts[item.currency or ""], item.amount_minor or 0
        part.documents += 1
        part.original += amount
        first = states[position][0] if position in states else None
        if first is None or first.state not in proposals.SETTLED:
            part.waiting += amount
        elif first.state == "CONFIRMED":
            back = totals.get(notes[first.doc_uid] if first.kind == "credit_memo" else item.vendor_id, 0)
            part.reversed += back
            part.difference += back - amount
        else:
            part.refused += amount
    return dict(sorted(parts.items()))


def _totals(services: Services, items: Iterable[Item], notes: Iterable[str]) -> dict[str, int]:
    """The ledger's totals of the documents that were voided, and of the credit notes that were made."""
    ids: dict[str, set[str]] = defaultdict(set)
    for item in items:
        ids[item.entity].add(item.vendor_id)
    ids["credit_memo"] |= set(notes)
    found: dict[str, int] = {}
    for entity, wanted in ids.items():
        for row in common_rows(services, services.ledger, entity, ids=wanted)[0] if wanted else []:
            found[row["_source_id"]] = row["total_minor"] or 0
    return found


def bill_again(services: Services, proposal_id: int, *, by: str, numbers: Sequence[str] = ()) -> int:
    """Has reversed records judged anew by the next run, which bills them again where they are billable. Audited.

    Args:
        numbers: only these of the proposal, by the record's number or id; all without any.

    Returns:
        How many records.
    """
    if not by.strip():
        raise NotAllowed("it needs the name of the person who wants it")
    subject = subject_of(services)
    table = services.crm.mappings[subject.entity].staged_entity().table
    with services.engine.begin() as conn:
        found = _of_link(services, proposals.get(conn, proposal_id), proposal_id)
        wanted = [
            item.source_id for item in found.items
            if item.action != "none" and item.source_id
            and (not numbers or item.source_number in numbers or item.source_id in numbers)
        ]  # fmt: skip
        judged = documents.latest(conn, found.link, subject.entity, wanted)
        again = sorted(key for key, one in judged.items() if one.outcome == "reversed")
        bump_table(conn, table, services.crm.name, again)
        event = audit.Event(by.strip(), "proposal.bill_again", f"proposal:{proposal_id}", {"source_ids": again})
        audit.append(conn, f"link:{found.link}", [event])
    return len(again)


def _of_link(services: Services, found: Proposal | None, proposal_id: int) -> Proposal:
    if found is None or found.link != services.link.name:
        raise NotAllowed(f"link {services.link.name} has no proposal {proposal_id}")
    return found
