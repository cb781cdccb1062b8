"""What a refund's body names and Intuit does not take as it is: the accounts by their codes, the credit memo.

A credit memo is paid back by a Purchase on accounts receivable, and a Payment of 0 that links the two. Intuit wants ids
of accounts, and takes a Purchase whether or not any credit is open. So the body names the paying account by its code,
and the credit memo (`CreditMemoRef`, which Intuit does not have); both are looked at just before it is sent, as
SyncTokens are, and more than is open of the credit memo is refused here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tieout.connectors.comparing import number_of
from tieout.connectors.quickbooks.books import RECEIVABLE
from tieout.connectors.quickbooks.query import among, select
from tieout.connectors.quickbooks.reasons import NOT_FOUND

#: Ours, in a body: never sent.
CREDIT_MEMO = "CreditMemoRef"
#: Types of account that a Purchase of the type Cash may come from.
PAYS = ("Bank", "Other Current Asset")
DETAIL = "AccountBasedExpenseLineDetail"
_NAMES = ("AcctNum", "FullyQualifiedName", "Name", "Id")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a refund is not sent."""

    reason: str
    message: str


def questions(bodies: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(entity, statement) of what has to be known of these bodies: the accounts, and their credit memos."""
    memos = [id_ for id_ in dict.fromkeys(map(_memo_id, bodies)) if id_.isascii() and id_.isalnum()]
    asked = [("Account", select("Account", [among("AccountType", (*PAYS, RECEIVABLE))]))]
    return [*asked, ("CreditMemo", select("CreditMemo", [among("Id", memos)]))] if memos else asked


def completed(
    body: Mapping[str, Any], found: Mapping[str, Sequence[Mapping[str, Any]]]
) -> tuple[dict[str, Any], Refusal | None]:
    """(the body as Intuit takes it, why it must not be sent).

    Args:
        found: entity -> the records that `questions` asked for.
    """
    memo = next((one for one in found.get("CreditMemo", ()) if str(one.get("Id")) == _memo_id(body)), None)
    code = str((body.get("AccountRef") or {}).get("name") or "")
    pays = _paying(code, found["Account"])
    owed = _receivable(body, memo or {}, found["Account"])
    made = {name: value for name, value in body.items() if name != CREDIT_MEMO}
    if len(pays) == 1:
        made["AccountRef"] = {"value": pays[0]}
    if len(owed) == 1:
        made["Line"] = [
            {**line, DETAIL: {**(line.get(DETAIL) or {}), "AccountRef": {"value": owed[0]}}} for line in body["Line"]
        ]
    return made, _refusal(body, memo, code, pays, owed)


def _refusal(
    body: Mapping[str, Any], memo: Mapping[str, Any] | None, code: str, pays: Sequence[str], owed: Sequence[str]
) -> Refusal | None:
    if memo is None:
        return Refusal(NOT_FOUND, f"CreditMemo {_memo_id(body)} is not there")
    if len(pays) != 1:
        return Refusal("invalid_account", f"{len(pays)} active accounts of type {', '.join(PAYS)} are called {code!r}")
    if len(owed) != 1:
        text = f"{len(owed)} accounts receivable in {_currency(body)}: it is not said which"
        return Refusal("invalid_account", text)
    wanted = sum((number_of(line.get("Amount")) or Decimal(0) for line in body["Line"]), Decimal(0))
    left = number_of(memo.get("RemainingCredit", memo.get("Balance"))) or Decimal(0)
    if wanted > left:
        text = f"{wanted} is to be paid back, and {left} is open of credit memo {memo.get('DocNumber') or memo['Id']}"
        return Refusal("allocation_too_large", text)
    return None


def paying(accounts: Iterable[Mapping[str, Any]]) -> set[str]:
    """All that an account which can pay may be called."""
    return {str(one.get(name)) for one in accounts if _pays(one) for name in _NAMES if one.get(name)}


def _paying(code: str, accounts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Ids of the accounts with this number; with this name, this id where none has."""
    active = [one for one in accounts if _pays(one)]
    for name in _NAMES:
        ids = [str(one["Id"]) for one in active if str(one.get(name) or "") == code]
        if code and ids:
            return ids
    return []


def _pays(account: Mapping[str, Any]) -> bool:
    return account.get("AccountType") in PAYS and account.get("Active") is not False


def _receivable(body: Mapping[str, Any], memo: Mapping[str, Any], accounts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Ids of the accounts receivable that the credit memo may be on: its own where Intuit says it."""
    active = [one for one in accounts if one.get("AccountType") == RECEIVABLE and one.get("Active") is not False]
    own = str((memo.get("ARAccountRef") or {}).get("value") or "")
    if any(str(one["Id"]) == own for one in active):
        return [own]
    # A company of one currency names none.
    return [str(one["Id"]) for one in active if _currency(one) in (_currency(body), None)]


def _currency(record: Mapping[str, Any]) -> str | None:
    return (record.get("CurrencyRef") or {}).get("value")


def _memo_id(body: Mapping[str, Any]) -> str:
    return str((body.get(CREDIT_MEMO) or {}).get("value") or "")
