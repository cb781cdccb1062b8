"""Fixes: breaks of known classes propose what mends them. A person approves, the delivery protocol carries it out.

    resend          bills the record once more: its document in the ledger is void or gone, or was refused
    relink          the ledger's document stands for the record: nothing is sent, a crosswalk row is added, none changed
    void_duplicate  takes a double out of the books
    write_off       books the rounding to the account that the link names

Here: which breaks, and the proposal. What can be done with each is mending.py, approving approval.py. What mends one of
them is seen by the next reconciliation, which clears it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from sqlalchemy import Connection, text

from tieout.reconcile import people
from tieout.scenarios import mending
from tieout.scenarios.extraction import extract_side, read_again
from tieout.scenarios.mending import Fix, Mended
from tieout.scenarios.services import Services
from tieout.scenarios.subjects import subject_of
from tieout.store import proposals, runs
from tieout.store.proposals import NotAllowed, Proposal

NAME = "fixes"
#: kind of fix -> the classes of breaks that it mends, and the areas in which it does.
FITS: dict[Fix, tuple[frozenset[str], frozenset[str]]] = {
    "resend": (frozenset({"missing_in_finance", "voided_or_deleted", "rejected_or_held"}), frozenset({"invoices"})),
    "relink": (
        frozenset({"unlinked", "missing_in_crm", "missing_in_finance", "voided_or_deleted", "rejected_or_held"}),
        frozenset({"invoices"}),
    ),
    "void_duplicate": (frozenset({"duplicate"}), frozenset({"invoices", "credit_memos", "payments"})),
    "write_off": (frozenset({"rounding"}), frozenset({"invoices"})),
}  # fmt: skip
#: Reasons that a refusal lists.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class _Found:
    """A break with its class's usual fix."""

    mended: Mended
    class_: str
    area: str
    fix: str | None
    cleared: bool


def propose(
    services: Services, break_ids: Sequence[int], *, by: str, reason: str, kind: Fix | None = None,
    record: str | None = None,
) -> Proposal:  # fmt: skip
    """Makes a proposal that mends these breaks, all by one kind of fix, on what the ledger shows at this moment.

    Args:
        kind: None: what the class of the breaks proposes.
        record: to relink one break that names no record of the CRM: the record's id or number.

    Raises:
        NotAllowed: nothing of it can be done; the message says why.
        Retriable, AuthenticationFailed, PermissionDenied, VendorFault: the ledger cannot be read.
    """
    ids = sorted(set(break_ids))
    with services.engine.begin() as conn:
        found = _breaks(conn, services.link.name, ids)
        wanted = kind or _usual(found)
        _refuse_unfit(found, wanted)
        _refuse_proposed(conn, ids)
        run = runs.start(
            conn, link=services.link.name, scenario=NAME, trigger="manual",
            mapping_hash=services.mapping_hash, suite_hash=services.suite_hash,
        )  # fmt: skip
    mended = [one.mended for one in found]
    if record is not None:
        mended = [_of_record(services, mended, record)]
    if wanted == "resend":
        # Whatever finance has entered by hand since: nothing may be billed twice.
        extract_side(services, services.ledger, run, only=["invoice"])
    for entity, documents in mending.documents_of(services, mended).items():
        read_again(services, services.ledger, entity, documents, run)
    items = mending.items(services, wanted, mended, run)
    if all(item.action == "none" for item in items):
        with services.engine.begin() as conn:
            runs.finish(conn, run, "succeeded", counts={"proposal": None, "breaks": len(items)})
        whys = [f"break {item.break_id}: {item.why}" for item in items[:MOST_NAMED]]
        raise NotAllowed(f"{wanted.replace('_', ' ')} is not possible: {'; '.join(whys)}")
    new = proposals.New(wanted, services.link.name, services.ledger.name, reason, by, False, run, items)
    with services.engine.begin() as conn:
        locked = people.locked(conn, ids, by)
        _refuse_proposed(conn, ids)
        made = proposals.propose(conn, new)
        people.tell(conn, locked, "fix_proposed", by, {"proposal": made, "fix": wanted, "reason": reason})
        runs.finish(conn, run, "succeeded", counts={"proposal": made, "breaks": len(items)})
        proposal = proposals.get(conn, made)
    assert proposal is not None  # made in this transaction
    return proposal


def _of_record(services: Services, mended: Sequence[Mended], record: str) -> Mended:
    """The one break with the record that a person says it belongs to."""
    entity = subject_of(services).entity
    if len(mended) != 1 or mended[0].a_keys:
        raise NotAllowed("a record is named for one break that names none itself")
    with services.engine.connect() as conn:
        ids = conn.execute(
            text(
                "select source_id from tieout.document where link = :link and object = :object "
                "and (source_id = :record or source_number = :record)"
            ),
            {"link": services.link.name, "object": entity, "record": record.strip()},
        ).scalars().all()  # fmt: skip
    if len(ids) != 1:
        raise NotAllowed(f"{record!r} is {len(ids)} of the records that runs of this link have judged; expected one")
    return replace(mended[0], a_keys=(f"{entity}:{ids[0]}",))


def _breaks(conn: Connection, link: str, ids: Sequence[int]) -> list[_Found]:
    if not ids or len(ids) > people.MOST_AT_ONCE:
        raise NotAllowed(f"{len(ids)} breaks at once; expected 1 to {people.MOST_AT_ONCE}")
    rows: list[Any] = list(
        conn.execute(
            text(
                "select break_id, area, class, component, currency, amount, a_keys, b_keys, fix, "
                "cleared_on is not null as cleared "
                "from tieout.break where link = :link and break_id = any(:ids) order by break_id"
            ),
            {"link": link, "ids": list(ids)},
        )
    )
    if missing := sorted(set(ids) - {row.break_id for row in rows}):
        raise NotAllowed(f"link {link} has no break {', '.join(map(str, missing[:MOST_NAMED]))}")
    return [
        _Found(
            Mended(row.break_id, row.component, row.currency, row.amount, tuple(row.a_keys), tuple(row.b_keys)),
            row._mapping["class"], row.area, row.fix, row.cleared,
        )
        for row in rows
    ]  # fmt: skip


def _usual(found: Sequence[_Found]) -> Fix:
    usual = {one.fix for one in found}
    if len(usual) == 1 and (fix := usual.pop()) in get_args(Fix):
        return fix  # type: ignore[return-value]  # one of the literals
    names = ", ".join(get_args(Fix))
    raise NotAllowed(f"these breaks propose no fix, or several: say which, one of {names}")


def _refuse_unfit(found: Sequence[_Found], kind: Fix) -> None:
    classes, areas = FITS[kind]
    for one in found:
        if one.cleared:
            raise NotAllowed(f"break {one.mended.break_id} is cleared: there is nothing to mend")
        if one.class_ not in classes or one.area not in areas:
            raise NotAllowed(
                f"break {one.mended.break_id} is {one.class_} in {one.area}: {kind.replace('_', ' ')} mends "
                f"{' or '.join(sorted(classes))} in {' and '.join(sorted(areas))}"
            )


def _refuse_proposed(conn: Connection, ids: Sequence[int]) -> None:
    """Raises where a proposal that is not refused or done is to mend one of them already."""
    for break_id, proposal, _, state in proposals.of_breaks(conn, ids):
        if state in ("proposed", "approved"):
            raise NotAllowed(f"break {break_id}: proposal {proposal} is {state} and would mend it")
