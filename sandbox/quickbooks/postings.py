"""What each document does to the general ledger, in home currency, and the trial balance that is made of it.

A posting is kept by the document's id: {date, lines: [[account id, amount]]}, debit above zero. It sums to nought.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sandbox.quickbooks.books import TABLE_OF, Books, ref_of
from sandbox.quickbooks.lines import Lines
from sandbox.quickbooks.wire import ZERO, cents, read_date
from sandbox.state import Record


def keep(books: Books, id_: str, day: str, lines: Iterable[tuple[str, Decimal]], difference: str) -> None:
    """Puts the posting; what is left over by rounding or rates goes to the account `difference`."""
    sums: dict[str, Decimal] = {}
    for account, amount in lines:
        sums[account] = sums.get(account, ZERO) + amount
    left = sum(sums.values(), ZERO)
    if left:
        sums[difference] = sums.get(difference, ZERO) - left
    books.postings.put(id_, {"date": day, "lines": [[account, amount] for account, amount in sums.items() if amount]})


def sale(books: Books, record: Record, lines: Lines, sign: int, balance_account: str) -> None:
    """An invoice (sign 1) or a credit memo or refund (-1)."""
    rate = record["ExchangeRate"]
    posted: list[tuple[str, Decimal]] = [(balance_account, sign * record["HomeTotalAmt"])]
    last = ""
    for part in lines.parts:
        last = part.item["IncomeAccountRef"]["value"]
        posted.append((last, -sign * cents(part.net * rate)))
        if part.item["Type"] == "Inventory":
            cost = sign * cents(part.quantity * part.item["PurchaseCost"])
            posted.append((part.item["ExpenseAccountRef"]["value"], cost))
            posted.append((part.item["AssetAccountRef"]["value"], -cost))
    if lines.discount_account:
        posted.append((lines.discount_account, sign * cents(lines.discount * rate)))
    tax = record["TxnTaxDetail"]["TotalTax"]
    if tax:
        posted.append((books.account(AccountSubType="GlobalTaxPayable")["Id"], -sign * cents(tax * rate)))
    keep(books, record["Id"], record["TxnDate"], posted, last)


def payment(books: Books, record: Record) -> None:
    """Money in at the payment's rate, receivables down at each document's own; the rest is gained or lost."""
    receivable = ref_of(record, "ARAccountRef") or ""
    rate = record["ExchangeRate"]
    posted = [
        (ref_of(record, "DepositToAccountRef") or "", cents(record["TotalAmt"] * rate)),
        (receivable, -cents(record["UnappliedAmt"] * rate)),
    ]
    for line in record["Line"]:
        link = line["LinkedTxn"][0]
        sign = 1 if link["TxnType"] == "CreditMemo" else -1
        document = books.table(TABLE_OF[link["TxnType"]])[link["TxnId"]]
        posted.append((receivable, sign * cents(line["Amount"] * document["ExchangeRate"])))
    gain = books.account(AccountSubType="ExchangeGainOrLoss")["Id"]
    keep(books, record["Id"], record["TxnDate"], posted, gain)


def opening(books: Books, item: Record) -> None:
    """What an item of inventory begins with."""
    worth = cents(item["QtyOnHand"] * item["PurchaseCost"])
    equity = books.account(AccountSubType="OpeningBalanceEquity")["Id"]
    posted = [(item["AssetAccountRef"]["value"], worth), (equity, -worth)]
    keep(books, f"Item {item['Id']}", item["InvStartDate"], posted, equity)


def trial_balance(books: Books, query: Mapping[str, str]) -> dict[str, Any]:
    """Balance sheet accounts up to end_date, income and expense since start_date. Raises Refused."""
    end = read_date(query.get("end_date", ""), "end_date") or books.today()
    start = read_date(query.get("start_date", ""), "start_date") or f"{end[:4]}-01-01"
    accounts = books.table("Account")
    retained = books.account(AccountSubType="RetainedEarnings")["Id"]
    sums: dict[str, Decimal] = {}
    for posting in books.postings.values():
        if posting["date"] > end:
            continue
        for account, amount in posting["lines"]:
            earlier = posting["date"] < start and accounts[account]["Classification"] in ("Revenue", "Expense")
            key = retained if earlier else account
            sums[key] = sums.get(key, ZERO) + amount
    rows: list[Record] = []
    debit = credit = ZERO
    for id_, account in accounts.items():
        amount = sums.get(id_, ZERO)
        if amount:
            debit, credit = debit + max(amount, ZERO), credit + max(-amount, ZERO)
            rows.append({"ColData": [{"value": account["Name"], "id": id_}, *_columns(amount)]})
    total = [{"value": "TOTAL"}, {"value": str(debit)}, {"value": str(credit)}]
    rows.append({"Summary": {"ColData": total}, "type": "Section", "group": "GrandTotal"})
    columns = [{"ColTitle": "", "ColType": "Account"}]
    columns += [{"ColTitle": title, "ColType": "Money"} for title in ("Debit", "Credit")]
    header: Record = {
        "Time": books.local(books.now()), "ReportName": "TrialBalance", "ReportBasis": "Accrual",
        "StartPeriod": start, "EndPeriod": end, "SummarizeColumnsBy": "Total", "Currency": books.home,
        "Option": [{"Name": "NoReportData", "Value": str(not sums).lower()}],
    }  # fmt: skip
    return {"Header": header, "Columns": {"Column": columns}, "Rows": {"Row": rows}}


def _columns(amount: Decimal) -> list[Record]:
    return [{"value": str(amount) if amount > 0 else ""}, {"value": str(-amount) if amount < 0 else ""}]
