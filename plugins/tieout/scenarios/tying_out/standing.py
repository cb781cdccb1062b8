"""Credit standing: the open balance, limit and available credit that the CRM shows against what finance has.

These are states: as they were staged when the report's figures were known, whatever its day. Balances are counted from
the ledger's open documents, limits come from finance's credit policy; converted at the latest rate of the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from tieout.model.money import exponent
from tieout.model.standing import OPEN
from tieout.scenarios.credit.balances import OpenItem, Rates, RateUnknown, balance
from tieout.scenarios.credit.policy import Policy, policy_of
from tieout.scenarios.frames import rows
from tieout.scenarios.tying_out.reading import Books, unreadable
from tieout.store import credit

if TYPE_CHECKING:
    import pandas as pd

BALANCES, CREDIT, ENTITY = "balances", "credit", "credit"


@dataclass(frozen=True)
class _Ledger:
    """account -> its open documents, and when any of its documents changed last."""

    items: dict[str, list[OpenItem]]
    changed_at: dict[str, datetime]
    contacts: dict[str, str]
    rates: Rates


def items(books: Books) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Items of `balances` and `credit`: of the CRM, of finance. Nothing where the link shows no credit in the CRM."""
    import pandas as pd

    shown = rows(books.crm(ENTITY).frame)
    if all(row["credit_as_of"] is None for row in shown):
        return pd.DataFrame(), pd.DataFrame()
    day = books.known_at.astimezone(ZoneInfo(books.services.link.time_zone)).date()
    with books.services.engine.connect() as conn:
        policy = policy_of(credit.in_force(conn, books.services.link.name, day, known_at=books.known_at))
        decided = _decided(conn, books)
    ledger = _ledger(books)
    a: list[dict[str, Any]] = []
    b: list[dict[str, Any]] = []
    for row in shown:
        if row["currency"] is not None:
            _crm_items(row, a)
            _finance_items(row, ledger, policy, decided, day, b)
    refused = unreadable(books.crm(ENTITY).rejections, BALANCES, "account", books.services.link.base_currency)
    return pd.concat([_typed(a), refused], ignore_index=True), _typed(b)


def _crm_items(row: dict[str, Any], into: list[dict[str, Any]]) -> None:
    currency = row["credit_currency"] or row["currency"]
    for area, measure, column in (
        (BALANCES, "balance", "open_balance_minor"), (CREDIT, "limit", "credit_limit_minor"),
        (CREDIT, "available", "available_minor"),
    ):  # fmt: skip
        if row[column] is not None:
            into.append({
                **_item(area, measure, row, currency, row[column]), "as_of": row["credit_as_of"],
                "changed_at": row["_modified_at"], "version": row["_version"],
            })  # fmt: skip


def _item(area: str, measure: str, row: dict[str, Any], currency: str, amount: int) -> dict[str, Any]:
    account = row["account_id"]
    words = {"balance": "open balance", "limit": "credit limit", "available": "available credit"}[measure]
    return {
        "area": area, "key": f"account:{account}", "match_key": f"{measure}:{account}", "measure": measure,
        "currency": currency, "scale": exponent(currency), "amount": amount, "customer": account,
        "customer_name": row["name"], "label": words, "title": row["number"] or row["name"],
    }  # fmt: skip


def _finance_items(
    row: dict[str, Any], ledger: _Ledger, policy: Policy, decided: dict[str, datetime], day: Any,
    into: list[dict[str, Any]],
) -> None:  # fmt: skip
    account, currency = row["account_id"], row["currency"]
    shared = policy.limits.get(account)
    if shared is None and account not in ledger.contacts:
        return
    changed = [ledger.changed_at[one] for one in (account, *(shared.members if shared else ()))
               if one in ledger.changed_at]  # fmt: skip
    newest = max(changed, default=None)
    reason, own, owed = None, 0, 0
    try:
        own = balance(ledger.items.get(account, ()), currency, day, ledger.rates).open_minor
        if shared is not None:
            owed = sum(balance(ledger.items.get(one, ()), shared.currency, day, ledger.rates).open_minor
                       for one in shared.members)  # fmt: skip
    except RateUnknown as error:
        reason = f"rate_unknown: {error}"
    known = {"reason": reason, "key": f"account:{ledger.contacts.get(account, account)}"}
    made = {**_item(BALANCES, "balance", row, currency, own), **known, "changed_at": ledger.changed_at.get(account)}
    into.append(made)
    if shared is not None:
        limit_at = decided.get(account) or decided.get(shared.holder)
        into.append({**_item(CREDIT, "limit", row, shared.currency, shared.limit_minor), **known,
                     "changed_at": limit_at})  # fmt: skip
        newest = max((one for one in (newest, limit_at) if one is not None), default=None)
        into.append({**_item(CREDIT, "available", row, shared.currency, shared.limit_minor - owed), **known,
                     "changed_at": newest})  # fmt: skip


def _ledger(books: Books) -> _Ledger:
    items_: dict[str, list[OpenItem]] = {}
    changed: dict[str, datetime] = {}
    invoices = books.ledger("invoice").frame
    parts = [(invoices[invoices["kind"] == "invoice"], "invoice_id", "due_minor", 1)]
    for entity, kind in books.credits.items():
        frame = books.ledger(entity).frame
        parts.append((frame[frame["kind"] == kind], f"{entity}_id", "remaining_minor", -1))
    for frame, key, due, sign in parts:
        accounts = frame["customer_id"].astype(object).map(books.contacts)
        ours = frame[accounts.notna()].assign(account=accounts)
        # `_modified_at` of a deleted draft counts too: whatever happened to a document, the figures were made before.
        newest = ours.groupby("account")["_modified_at"].max().dropna()
        changed |= _newer(changed, {str(account): value.to_pydatetime() for account, value in newest.items()})
        live = ours[(ours["standing"] == OPEN) & ours[due].notna() & (ours[due] != 0)]
        for row in rows(live[[key, "account", "currency", due]]):
            item = OpenItem(row[key], row["account"], row["currency"], sign * row[due])
            items_.setdefault(row["account"], []).append(item)
    changed |= _newer(changed, _vanished(books))
    contacts = {account: contact for contact, account in reversed(list(books.contacts.items()))}
    return _Ledger(items_, changed, contacts, _rates(books))


def _newer(known: dict[str, datetime], found: dict[str, Any]) -> dict[str, datetime]:
    return {key: max(value, known.get(key, value)) for key, value in found.items()}


def _vanished(books: Books) -> dict[str, datetime]:
    """account -> when it was seen last that one of its documents is gone from the ledger without a trace."""
    found: dict[str, datetime] = {}
    services = books.services
    for entity in ("invoice", *books.credits):
        mapping = services.ledger.mappings[entity]
        customer, table = mapping.read["customer_id"].source[0], mapping.staged_entity().table
        with services.engine.connect() as conn:
            rows_ = conn.execute(
                sa.text(
                    f"select {customer} as customer, max(_staged_at) as at from staging.{table} "  # noqa: S608
                    "where _connection = :ledger and _deleted and _staged_at <= :known_at group by 1"
                ),
                {"ledger": services.ledger.name, "known_at": books.known_at},
            )
            seen = {books.contacts[row.customer]: row.at for row in rows_ if row.customer in books.contacts}
        found |= _newer(found, seen)
    return found


def _rates(books: Books) -> Rates:
    """The rate of the ledger's latest document in each currency until the day; where it has none, the CRM's."""
    day = books.known_at.astimezone(ZoneInfo(books.services.link.time_zone)).date()
    base = books.services.link.base_currency
    found: dict[str, Decimal] = {}
    for row in sorted(rows(books.crm("exchange_rate").frame), key=lambda one: one["date"]):
        if row["date"] <= day:
            found[row["to_currency"]] = row["rate"]
    frame = books.ledger("invoice").frame
    dated = frame[frame["exchange_rate"].notna() & frame["date"].notna()]
    for row in sorted(rows(dated[["currency", "exchange_rate", "date", "invoice_id"]]),
                      key=lambda one: (one["date"], one["invoice_id"])):  # fmt: skip
        if row["date"] <= day and row["exchange_rate"] > 0:
            found[row["currency"]] = row["exchange_rate"]
    return Rates(base, {code: rate for code, rate in found.items() if code != base})


def _decided(conn: sa.Connection, books: Books) -> dict[str, datetime]:
    """account -> when its latest approved limit was decided."""
    found = conn.execute(
        sa.text(
            "select l.account_id, max(c.decided_at) as at from tieout.credit_limit l join tieout.credit_change c "
            "using (change_id) where c.link = :link and c.state = 'approved' and c.decided_at <= :known_at group by 1"
        ),
        {"link": books.services.link.name, "known_at": books.known_at},
    )
    return {row.account_id: row.at for row in found}


def _typed(made: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(made)
    if not frame.empty:
        frame["amount"] = frame["amount"].astype("Int64")
        frame["scale"] = frame["scale"].astype("Int64")
        frame["reason"] = frame.get("reason")
    return frame
