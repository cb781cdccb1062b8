"""The lines of a sales document: amounts, discount, subtotal, and what each line says about tax."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sandbox.quickbooks.books import Books, ref_of, reference
from sandbox.quickbooks.errors import bad_number, business, missing, unsupported, wrong_amount
from sandbox.quickbooks.wire import MOST_PLACES, ZERO, cents, places
from sandbox.state import Record

MAX_LINES = 1000  # assumed
DEFAULT_ITEM = "1"


@dataclass(frozen=True, slots=True)
class Part:
    """One line that sells: `code` is its tax code's id, `net` its amount without tax in the document's currency."""

    line: Record
    item: Record
    code: str | None
    net: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Lines:
    """All lines; `discount` is above zero where the discount line lowers the total."""

    shown: list[Record]
    parts: list[Part]
    subtotal: Decimal
    discount: Decimal
    discount_account: str | None


def build(books: Books, given: Record, day: str) -> Lines:
    """Reads the body's lines. Raises Refused."""
    sent = [line for line in given.get("Line") or () if line.get("DetailType") != "SubTotalLineDetail"]
    if not sent:
        raise missing("Line")
    if len(sent) > MAX_LINES:
        raise business(f"A transaction has at most {MAX_LINES} lines")
    taken = {line["Id"] for line in sent if line.get("Id")}
    fresh = (str(number) for number in range(1, 2 * MAX_LINES + 2))
    shown: list[Record] = []
    parts: list[Part] = []
    discounts: list[Record] = []
    for place, line in enumerate(sent, start=1):
        kind = line.get("DetailType")
        if not kind:
            raise missing("Line.DetailType")
        id_ = line.get("Id") or next(number for number in fresh if number not in taken)
        taken.add(id_)
        kept = {"Id": id_, "LineNum": Decimal(place)} | {k: v for k, v in line.items() if k not in ("Id", "LineNum")}
        if kind == "SalesItemLineDetail":
            parts.append(_sold(books, kept, day))
            shown.append(parts[-1].line)
        elif kind == "DiscountLineDetail":
            discounts.append(kept)
        elif kind == "DescriptionOnly":
            shown.append({"DescriptionLineDetail": {}} | kept | {"Amount": ZERO})
        else:
            raise unsupported(
                f"Property Name:DetailType specified is unsupported or invalid. Supplied value:{kind}", "2180"
            )
    if not parts:
        raise missing("Line.SalesItemLineDetail")
    subtotal = sum((part.net for part in parts), ZERO)
    discount, account = _discount(books, discounts, subtotal)
    shown.append({"Amount": subtotal, "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}})
    shown += discounts
    return Lines(shown, parts, subtotal, discount, account)


def _sold(books: Books, line: Record, day: str) -> Part:
    detail = dict(line.get("SalesItemLineDetail") or {})
    item = books.referred("Item", detail, "ItemRef") or books.table("Item").get(DEFAULT_ITEM)
    if item is None or item["Type"] == "Category":
        raise missing("Line.SalesItemLineDetail.ItemRef")
    price, quantity = detail.get("UnitPrice"), detail.get("Qty")
    for field, value in (("UnitPrice", price), ("Qty", quantity)):
        if value is not None and places(value) > MOST_PLACES:
            raise bad_number(f"Line.{field}", value)
    amount = line.get("Amount")
    if amount is None:
        raise missing("Line.Amount")
    if price is not None and quantity is not None and cents(price * quantity) != cents(amount):
        raise wrong_amount(amount)
    detail |= {"ItemRef": reference(item), "ItemAccountRef": item["IncomeAccountRef"]}
    if item["Type"] == "Inventory" and day < item["InvStartDate"]:
        raise business("Transaction date is prior to start date for inventory item")
    code = ref_of(detail, "TaxCodeRef")
    if books.is_us:
        code = code or ("TAX" if item["Taxable"] else "NON")
        if code not in ("TAX", "NON"):
            code = "TAX" if books.referred("TaxCode", detail, "TaxCodeRef") else "NON"
        detail["TaxCodeRef"] = {"value": code}
    elif code is not None:
        books.referred("TaxCode", detail, "TaxCodeRef")
    kept = line | {"Amount": cents(amount), "SalesItemLineDetail": detail}
    return Part(kept, item, code, cents(amount), Decimal(1) if quantity is None else quantity)


def _discount(books: Books, discounts: list[Record], subtotal: Decimal) -> tuple[Decimal, str | None]:
    """The one discount line, with its amount filled in; (amount, account)."""
    if not discounts:
        return ZERO, None
    if len(discounts) > 1:
        raise business("A transaction has at most one discount line")
    line = discounts[0]
    detail = dict(line.get("DiscountLineDetail") or {})
    if detail.get("PercentBased"):
        percent = detail.get("DiscountPercent")
        if percent is None:
            raise missing("Line.DiscountLineDetail.DiscountPercent")
        if not 0 <= percent <= 100:
            raise bad_number("DiscountPercent", percent)
        line["Amount"] = cents(subtotal * percent / 100)
    elif line.get("Amount") is None:
        raise missing("Line.Amount")
    line["Amount"] = cents(line["Amount"])
    if not 0 <= line["Amount"] <= max(subtotal, ZERO):
        raise business("The discount must be from 0 to the subtotal")
    account = books.referred("Account", detail, "DiscountAccountRef")
    account = account or books.account(AccountSubType="DiscountsRefundsGiven")
    line["DiscountLineDetail"] = detail | {"DiscountAccountRef": reference(account)}
    return line["Amount"], account["Id"]
