"""Which of the ledger's customers an account of the CRM is: pure rules over the common model, no I/O.

An account is linked when exactly one customer is certain: it carries our id, or a person approved it, or the tax id
is the same, or the normalised name and address are. Several candidates, or one that another account stands for, wait
for a person. None at all is created or held, as the link says.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tieout.model.standing import ACTIVE
from tieout.scenarios.billing import Hold, Row

#: Legal forms that are written in two ways; the same form is one token.
LEGAL_FORMS = {
    "limited": "ltd", "incorporated": "inc", "corporation": "corp", "company": "co", "aktiengesellschaft": "ag",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Linked:
    """The account is this customer of the ledger. `origin` is the crosswalk's: found, approved or matched."""

    ledger_id: str
    number: str | None
    origin: Literal["found", "approved", "matched"]
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Create:
    """The ledger has no such customer, and the link lets Tieout create it."""


Verdict = Linked | Create | Hold


def match(
    accounts: Sequence[Row],
    customers: Sequence[Row],
    *,
    population: Sequence[Row] | None = None,
    taken: Mapping[str, str],
    approved: Mapping[str, str],
    create: bool,
) -> dict[str, Verdict]:
    """A verdict for each account, by account id.

    Args:
        accounts: rows of `account` as the CRM has them; those that are not linked yet.
        customers: rows of `account` as the ledger has them; `account_id` is the ledger's id, `number` the customer
            code, `crm_id` the CRM id that it carries, if any.
        population: all accounts of the CRM, among which a tax id has to be unique; by default `accounts`.
        taken: ledger id -> account id of the links that exist.
        approved: account id -> ledger id, where a person decided.
        create: the link's policy for a customer that is not there.
    """
    index = _Index(customers)
    rivals = _rivals(accounts if population is None else population)
    verdicts: dict[str, Verdict] = {}
    claimed = dict(taken)
    for account in accounts:
        verdict = _judge(account, index, rivals, approved, create)
        if isinstance(verdict, Linked):
            owner = claimed.setdefault(verdict.ledger_id, account["account_id"])
            if owner != account["account_id"]:
                verdict = _taken(account, verdict, owner)
        verdicts[account["account_id"]] = verdict
    return verdicts


def normalised_name(name: str | None) -> str:
    """Case, accents, punctuation and the spelling of the legal form do not make another customer."""
    text = unicodedata.normalize("NFKD", name or "").casefold()
    text = "".join(char for char in text if not unicodedata.combining(char))
    words = "".join(char if char.isalnum() else " " for char in text).split()
    return " ".join(LEGAL_FORMS.get(word, word) for word in words)


def _address(row: Row) -> tuple[str, ...] | None:
    """(country, postcode), or (country, city, street) where there is no postcode; None: not enough to be certain."""
    country = normalised_name(row.get("country"))
    postcode = normalised_name(row.get("postcode")).replace(" ", "")
    if postcode:
        return (country, postcode)
    city, street = normalised_name(row.get("city")), normalised_name(row.get("street"))
    return (country, city, street) if city and street else None


class _Index:
    """The ledger's live customers by what identifies them."""

    def __init__(self, customers: Iterable[Row]) -> None:
        self.by_id: dict[str, Row] = {}
        self.by_crm_id: dict[str, list[Row]] = defaultdict(list)
        self.by_tax_id: dict[str, list[Row]] = defaultdict(list)
        self.by_name: dict[str, list[Row]] = defaultdict(list)
        for row in customers:
            if row.get("status") not in (None, ACTIVE):
                continue
            self.by_id[row["account_id"]] = row
            for field, index in (("crm_id", self.by_crm_id), ("number", self.by_crm_id), ("tax_id", self.by_tax_id)):
                if row.get(field) and row not in index[row[field]]:
                    index[row[field]].append(row)
            self.by_name[normalised_name(row.get("name"))].append(row)


def _rivals(accounts: Sequence[Row]) -> dict[str, list[str]]:
    """Tax id -> the accounts that carry it, where there is more than one."""
    by_tax_id: dict[str, list[str]] = defaultdict(list)
    for account in accounts:
        if account.get("tax_id"):
            by_tax_id[account["tax_id"]].append(account["account_id"])
    return {tax_id: ids for tax_id, ids in by_tax_id.items() if len(ids) > 1}


def _judge(
    account: Row, index: _Index, rivals: Mapping[str, list[str]], approved: Mapping[str, str], create: bool
) -> Verdict:
    account_id = account["account_id"]
    if account_id in approved:
        decided = index.by_id.get(approved[account_id])
        if decided is None:
            return Hold(
                "approved_customer_gone", "the customer that a person approved is not active in the ledger",
                "an active customer", approved[account_id], "approve another customer with `tieout alias approve`",
            )  # fmt: skip
        return Linked(decided["account_id"], decided.get("number"), "approved", {"approved": approved[account_id]})
    carries = index.by_crm_id.get(account_id, [])
    if len(carries) == 1:
        return Linked(carries[0]["account_id"], carries[0].get("number"), "found", {"crm_id": account_id})
    if len(carries) > 1:
        return _several(account, carries, "CRM id")
    if account.get("tax_id") in rivals:
        others = [other for other in rivals[account["tax_id"]] if other != account_id]
        return Hold(
            "duplicate_tax_id", f"tax id of {account['name']!r} is on other accounts of the CRM too",
            "one account with this tax id", f"also on {', '.join(others)}",
            "merge the accounts in the CRM, or approve a customer for each with `tieout alias approve`",
        )  # fmt: skip
    same_tax_id = index.by_tax_id.get(account.get("tax_id") or "", [])
    if len(same_tax_id) == 1:
        row = same_tax_id[0]
        return Linked(row["account_id"], row.get("number"), "matched", {"rule": "tax_id", "tax_id": account["tax_id"]})
    if len(same_tax_id) > 1:
        return _several(account, same_tax_id, "tax id")
    return _by_name(account, index, create)


def _by_name(account: Row, index: _Index, create: bool) -> Verdict:
    name = normalised_name(account.get("name"))
    if not name:
        return Hold("customer_without_name", "the account has no name", "a name", "nothing", "name it in the CRM")
    same_name = index.by_name.get(name, [])
    address = _address(account)
    certain = [row for row in same_name if address is not None and _address(row) == address]
    contradicting = [
        row for row in certain if row.get("tax_id") and account.get("tax_id") and row["tax_id"] != account["tax_id"]
    ]
    if len(certain) == 1 and not contradicting:
        row = certain[0]
        evidence = {"rule": "name_and_address", "name": name, "address": list(address or ())}
        return Linked(row["account_id"], row.get("number"), "matched", evidence)
    if same_name:
        return _several(account, same_name, "name")
    if create:
        return Create()
    return Hold(
        "customer_not_found", f"the ledger has no customer like {account['name']!r}", "a customer in the ledger",
        "none", "create the customer in the ledger, or set unmatched_customer: create in the link",
    )  # fmt: skip


def _several(account: Row, candidates: Sequence[Row], by: str) -> Hold:
    listed = "; ".join(f"{row['account_id']} {row.get('name')!r}" for row in candidates[:5])
    return Hold(
        "customer_ambiguous", f"{len(candidates)} customers of the ledger have the {by} of {account['name']!r}",
        "one certain customer", listed,
        f"choose: `tieout alias approve LINK account {account['account_id']} LEDGER_ID --by NAME`",
    )  # fmt: skip


def _taken(account: Row, linked: Linked, owner: str) -> Hold:
    return Hold(
        "customer_taken", f"the customer that fits {account['name']!r} stands for account {owner} already",
        "a customer of its own", linked.ledger_id, "merge the two accounts in the CRM, or create a second customer",
    )  # fmt: skip
