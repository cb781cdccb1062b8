"""Rollback: documents that were posted are taken back as a set, by void or by credit note, once a person approved it.

Here: which documents, and the proposal. What can be done with each is reversal.py, approving approval.py, what comes
after it taken_back.py. The bodies are those of cancelled orders (making.py): there is no second way of making them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from tieout.delivery.intents import NewIntent
from tieout.model.errors import ConfigurationFault
from tieout.scenarios.approval import frozen_intents
from tieout.scenarios.billing import Row
from tieout.scenarios.extraction import read_again
from tieout.scenarios.making import plan_intents
from tieout.scenarios.plans import Plan, Planned
from tieout.scenarios.reversal import Can, reversal
from tieout.scenarios.revisions import Step
from tieout.scenarios.rules import load_rules
from tieout.scenarios.services import Services
from tieout.scenarios.subjects import live_documents, subject_of
from tieout.store import documents, proposals, runs
from tieout.store.documents import Judgement
from tieout.store.proposals import Action, Item, Proposal

NAME: Literal["rollback"] = "rollback"
_ACTION: dict[Step | None, Action] = {Step.VOID: "void", Step.CREDIT: "credit", None: "none"}


@dataclass(frozen=True, slots=True)
class Which:
    """The documents to take back: all that a run planned or posted, or some by intent, or by number.

    Attributes:
        numbers: an invoice's number, an order's number, or the CRM's id of the record; its latest revision is meant.
    """

    run_id: UUID | None = None
    intent_ids: Sequence[int] = ()
    numbers: Sequence[str] = ()


def propose(services: Services, which: Which, *, by: str, reason: str) -> Proposal:
    """Makes a proposal of what can be done with each document, on what the ledger shows at this moment.

    Raises:
        ConfigurationFault: nothing that was posted is meant, or too much for one proposal.
        Retriable, AuthenticationFailed, PermissionDenied, VendorFault: the ledger cannot be read.
    """
    originals = _originals(services, which)
    if not originals:
        raise ConfigurationFault(
            "no document of this link that was posted is meant; `tieout trace` finds one by number"
        )
    if len(originals) > proposals.MOST_ITEMS:
        raise ConfigurationFault(f"{len(originals)} documents: at most {proposals.MOST_ITEMS} are decided on at once")
    with services.engine.begin() as conn:
        run = runs.start(
            conn, link=services.link.name, scenario=NAME, trigger="manual",
            mapping_hash=services.mapping_hash, suite_hash=services.suite_hash,
        )  # fmt: skip
    read_again(services, services.ledger, "invoice", [row["vendor_id"] for row in originals if row["vendor_id"]], run)
    items = _items(services, originals)
    new = proposals.New(NAME, services.link.name, services.ledger.name, reason, by, False, run, items)
    with services.engine.begin() as conn:
        made = proposals.propose(conn, new)
        runs.finish(conn, run, "succeeded", counts={"proposal": made, "documents": len(items)})
        found = proposals.get(conn, made)
    assert found is not None  # made in this transaction
    return found


_ORIGINALS = """
select i.intent_id, i.doc_uid, i.kind, i.entity, i.revision, i.state, i.source_object, i.source_id, i.vendor_id,
    i.vendor_number, i.natural_key, i.currency, d.source_number
from tieout.intent i left join tieout.document d
    on d.link = i.link and d.object = i.source_entity and d.source_id = i.source_id
where i.link = :link and i.target = :target and i.source = :source and i.kind in ('invoice', 'credit_memo')
  and i.state not in ('CANCELLED', 'REJECTED')
  and (i.run_id = :run_id or (d.run_id = :run_id and d.outcome = 'posted' and d.doc_uid = i.doc_uid)
       or i.intent_id = any(:intents)
       or (i.kind = 'invoice'
           and (i.natural_key = any(:numbers) or i.source_id = any(:numbers) or d.source_number = any(:numbers))
           and not exists (select from tieout.intent l where l.link = i.link and l.target = i.target
               and l.source = i.source and l.source_object = i.source_object and l.source_id = i.source_id
               and l.kind = i.kind and l.revision > i.revision)))
order by i.intent_id
"""


def _originals(services: Services, which: Which) -> list[Mapping[str, Any]]:
    with services.engine.connect() as conn:
        rows = conn.execute(
            text(_ORIGINALS),
            {
                "link": services.link.name, "target": services.ledger.name, "source": services.crm.name,
                "run_id": which.run_id, "intents": list(which.intent_ids), "numbers": list(which.numbers),
            },
        ).mappings()  # fmt: skip
        return [dict(row) for row in rows]


def _items(services: Services, originals: Sequence[Mapping[str, Any]]) -> list[Item]:
    subject, rules = subject_of(services), load_rules(services)
    ids = sorted({row["source_id"] for row in originals})
    live = live_documents(services, subject, ids)
    failed = _failed_reversals(services, ids)
    vendor_ids = [row["vendor_id"] for row in originals if row["vendor_id"]]
    with services.engine.connect() as conn:
        judged = documents.latest(conn, services.link.name, subject.entity, ids)
        taken = proposals.proposed_before(conn, services.ledger.name, vendor_ids, only_open=True)
    decided: list[tuple[Mapping[str, Any], Can]] = []
    for row in originals:
        if row["kind"] == "credit_memo":
            can = Can(None, "credit_note", "a credit note is not taken back; bill the order anew instead")
        elif row["vendor_id"] in taken:
            can = Can(None, "proposed_already", f"proposal {taken[row['vendor_id']]} has it and is not decided or done")
        elif row["source_id"] not in judged:
            can = Can(None, "not_judged", "no run of this link has an outcome for its record")
        else:
            can = reversal(live[row["source_id"]], row["doc_uid"], failed.get((row["source_id"], row["revision"]), {}),
                           rules)  # fmt: skip
        decided.append((row, can))
    plans = [
        Plan(_judged(judged[row["source_id"]], live[row["source_id"]]), steps=(can.step,), live=live[row["source_id"]])
        for row, can in decided
        if can.step
    ]
    made = plan_intents(services, subject.entity, plans, rules)
    by_source: dict[str, list[NewIntent]] = defaultdict(list)
    for intent in made.intents:
        by_source[intent.source_id].append(intent)
    stopped = {plan.judgement.source_id: plan.hold for plan in made.stopped}
    items = []
    for row, can in decided:
        if can.step and (hold := stopped.get(row["source_id"])) is not None:
            can = Can(None, hold.reason, hold.message)
        items.append(_item(services, row, can, live.get(row["source_id"]), by_source if can.step else {}))
    return items


def _judged(judgement: Judgement, live: Planned) -> Judgement:
    return replace(judgement, revision=live.intent["revision"])


def _item(
    services: Services, row: Mapping[str, Any], can: Can, live: Planned | None, made: Mapping[str, list[NewIntent]]
) -> Item:
    same = live is not None and live.intent["doc_uid"] == row["doc_uid"]
    invoice: Row = (live.invoice if live and same else None) or {}
    return Item(
        entity=row["entity"], vendor_id=row["vendor_id"] or "",
        vendor_number=row["vendor_number"] or row["natural_key"],
        doc_uid=row["doc_uid"], source_object=row["source_object"], source_id=row["source_id"],
        source_number=row["source_number"], currency=invoice.get("currency") or row["currency"],
        amount_minor=invoice.get("total_minor"),
        action=_ACTION[can.step],
        reason=can.reason, why=can.why,
        staged_in=services.ledger.mappings[row["entity"]].staged_entity().table,
        ledger_version=invoice.get("_version"), intents=frozen_intents(made.get(row["source_id"], [])),
    )  # fmt: skip


def _failed_reversals(services: Services, ids: Sequence[str]) -> dict[tuple[str, int], dict[str, str]]:
    """(source id, revision) -> kind -> state of reversals that came to nothing."""
    with services.engine.connect() as conn:
        rows = conn.execute(
            text(
                "select source_id, revision, kind, state from tieout.intent where target = :target "
                "and source = :source and source_id = any(:ids) and kind in ('void', 'credit_memo') "
                "and state in ('REJECTED', 'CANCELLED')"
            ),
            {"target": services.ledger.name, "source": services.crm.name, "ids": list(ids)},
        )
        found: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
        for row in rows:
            found[(row.source_id, row.revision)][row.kind] = row.state
    return dict(found)
