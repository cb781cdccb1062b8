"""Accounts that a CRM merged into a new one: the crosswalk knows the customer by an id that is gone.

No crosswalk row is changed or added (S7). Whoever asks for the customer of the new account, or for the account of a
customer, is told by the accounts that it continues. Where several of them stand for customers, it is the one whose
customer the CRM's record carries; where that says nothing, a person decides. CRMs that keep the id say nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from tieout.scenarios.services import Services
from tieout.store import staging

ENTITY = "account"


@dataclass(frozen=True, slots=True)
class Successor:
    """An account and those that became it. `ledger_id`: of the customer that its record carries."""

    account_id: str
    formers: tuple[str, ...]
    ledger_id: str | None


def formers(merged_from: str, account_id: str) -> tuple[str, ...]:
    """The ids in an account's `merged_from`."""
    return tuple(part for part in re.split(r"[;,\s]+", merged_from) if part and part != account_id)


def successors(services: Services) -> dict[str, Successor]:
    """Account id -> its successor, for each id of a merge: the new one's and those of the accounts that are gone."""
    mapping = services.crm.mappings[ENTITY]
    if "merged_from" not in mapping.read:
        return {}
    merged, carried = (mapping.read[name].source[0] for name in ("merged_from", "ledger_id"))
    frame = staging.read(
        services.engine, mapping.staged_entity(), services.crm.name, columns=[merged, carried],
        where=f'"{merged}" is not null',
    )  # fmt: skip
    found: dict[str, Successor] = {}
    for row in frame[["_source_id", merged, carried]].astype(object).itertuples(index=False, name=None):
        id_, ids, ledger_id = row
        made = Successor(id_, formers(ids, id_), ledger_id if isinstance(ledger_id, str) else None)
        found |= dict.fromkeys((id_, *made.formers), made)
    return found


def are_one(merged: Mapping[str, Successor], left: str | None, right: str | None) -> bool:
    """Whether two ids are of one account now. `merged`: of `successors`."""
    one, other = merged.get(left or ""), merged.get(right or "")
    return left == right or (one is not None and other is not None and one.account_id == other.account_id)


def standing_for(one: Successor, customers: Mapping[str, str | None]) -> str | None:
    """Of an account and those that it continues, the one whose customer it has: None where none has one, or nobody
    says which.

    Args:
        customers: account id -> the ledger's customer; None for one that is still to be created.
    """
    known = [id_ for id_ in (one.account_id, *one.formers) if id_ in customers]
    if len(known) == 1 or one.account_id in known:
        return known[0]
    carried = [id_ for id_ in known if one.ledger_id is not None and customers[id_] == one.ledger_id]
    return carried[0] if len(carried) == 1 else None


def continued(services: Services) -> dict[str, str]:
    """Account id of a crosswalk row -> the account that has its customer now, where that is another one."""
    known = successors(services)
    if not known:
        return {}
    with services.engine.connect() as conn:
        customers = {
            row.source_id: row.vendor_id
            for row in conn.execute(
                sa.text(
                    "select source_id, vendor_id from tieout.crosswalk where link = :link and target = :target "
                    "and source = :source and entity = 'account' and source_id = any(:ids)"
                ),
                {
                    "link": services.link.name, "target": services.ledger.name, "source": services.crm.name,
                    "ids": sorted(known),
                },
            )
        }  # fmt: skip
    chosen = {one.account_id: standing_for(one, customers) for one in known.values()}
    return {old: new for new, old in chosen.items() if old is not None and old != new}
