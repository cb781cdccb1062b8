"""The arithmetic of line items: unit amounts, discounts, tax by line, and what the document adds up to.

Rounding: quantities to 4 places, unit amounts to 2 (4 with unitdp=4), line amounts and tax to 2, halves away from zero,
each line by itself; the document's sums are sums of rounded lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.state import Record
from sandbox.xero.books import ZERO, Books, Kind, cents
from sandbox.xero.errors import Refused
from sandbox.xero.wire import new_id, read_guid, read_number

LINE_AMOUNT_TYPES = ("Exclusive", "Inclusive", "NoTax")
MAX_DESCRIPTION = 4000  # characters
MAX_ITEM_CODE = 30  # characters

_HUNDRED = Decimal(100)
_PLACES = {2: Decimal("0.01"), 4: Decimal("0.0001")}


@dataclass(frozen=True, slots=True)
class Sums:
    """Lines as they are kept, and the document's amounts in its currency."""

    lines: list[Record]
    sub_total: Decimal
    total_tax: Decimal
    discount: Decimal

    @property
    def total(self) -> Decimal:
        return self.sub_total + self.total_tax


@dataclass(frozen=True, slots=True)
class Rules:
    """What the document asks of its lines."""

    kind: Kind
    type: str
    amounts: str  # Exclusive, Inclusive or NoTax
    approved: bool  # SUBMITTED or AUTHORISED: accounts and tax types must be there
    places: int  # of unit amounts


def build(books: Books, elements: Any, rules: Rules) -> Sums:
    """Checks and computes the lines. Raises Refused with all that is wrong."""
    if not isinstance(elements, list) or not elements or not all(isinstance(line, dict) for line in elements):
        raise Refused("One or more line items must be specified")
    lines: list[Record] = []
    wrong: list[str] = []
    for element in elements:
        try:
            lines.append(_line(books, element, rules))
        except Refused as error:
            wrong += [message for message in error.messages if message not in wrong]
    if wrong:
        raise Refused(*wrong)
    tax = sum((line["TaxAmount"] for line in lines), ZERO)
    net = sum((line["LineAmount"] for line in lines), ZERO)
    if rules.amounts == "Inclusive":
        net -= tax
    return Sums(lines, net, tax, sum((_discount(line) for line in lines), ZERO))


def _line(books: Books, element: Record, rules: Rules) -> Record:
    given = _with_item(books, element, rules)
    account = books.account_codes.first(given["AccountCode"]) if given.get("AccountCode") else None
    tax_type = _tax_type(given, account, rules)
    _check_codes(books, given, account, tax_type, rules)
    quantity, unit, amount = _amounts(given, rules)
    line: Record = {
        "Description": _description(given, rules),
        "UnitAmount": unit,
        "TaxType": tax_type,
        "TaxAmount": _tax(books, given, tax_type, amount, rules),
        "LineAmount": amount,
        "AccountCode": given.get("AccountCode"),
        "Tracking": given.get("Tracking") or [],
        "Quantity": quantity,
        "LineItemID": read_guid(given.get("LineItemID")) or new_id(),
    }
    if account is not None:
        line["AccountID"] = account["AccountID"]
    for key in ("ItemCode", "Item", "DiscountRate", "DiscountAmount"):
        if given.get(key) is not None:
            line[key] = given[key]
    return {key: value for key, value in line.items() if value is not None}


def _with_item(books: Books, element: Record, rules: Rules) -> Record:
    """The element with what is missing taken from its item; numbers read."""
    given = dict(element)
    for field in ("Quantity", "UnitAmount", "LineAmount", "TaxAmount", "DiscountRate", "DiscountAmount"):
        if given.get(field) is not None:
            given[field] = read_number(given[field], field)
    for field in ("AccountCode", "TaxType", "ItemCode"):
        if given.get(field) is not None and not isinstance(given[field], str):
            raise Refused(f"The {field} is not a valid text.")
    code = given.get("ItemCode")
    if not code:
        return given
    item = books.item_codes.first(code)
    if item is None:
        raise Refused(f"Item code '{code}' is not valid")
    details = item.get("SalesDetails" if rules.type.startswith("ACCREC") else "PurchaseDetails") or {}
    if given.get("UnitAmount") is None and given.get("LineAmount") is None and "UnitPrice" in details:
        given["UnitAmount"] = details["UnitPrice"]
    for field, value in (("AccountCode", details.get("AccountCode")), ("TaxType", details.get("TaxType"))):
        given[field] = given.get(field) or value
    if rules.type.startswith("ACCPAY") and item.get("InventoryAssetAccountCode"):
        given["AccountCode"] = item["InventoryAssetAccountCode"]
    given["Description"] = given.get("Description") or item.get("Description") or item.get("Name")
    given["Item"] = {"ItemID": item["ItemID"], "Code": item["Code"], "Name": item.get("Name", "")}
    return given


def _tax_type(given: Record, account: Record | None, rules: Rules) -> str | None:
    if rules.amounts == "NoTax":
        return "NONE"
    return given.get("TaxType") or (account["TaxType"] if account else None)


def _check_codes(books: Books, given: Record, account: Record | None, tax_type: str | None, rules: Rules) -> None:
    wrong = []
    code = given.get("AccountCode")
    is_text = isinstance(given.get("Description"), str) and not any(
        given.get(field) for field in ("Quantity", "UnitAmount", "LineAmount", "ItemCode")
    )
    if code and (account is None or account["Type"] == "BANK" or account["SystemAccount"] in ("DEBTORS", "CREDITORS")):
        wrong.append(f"Account code '{code}' is not a valid code for this document.")
    elif code and account is not None and account["Status"] != "ACTIVE":
        wrong.append(
            f"Account code '{code}' has been archived, or has been deleted."
            " Each line item must reference a valid account."
        )
    elif not code and rules.approved and not is_text:
        wrong.append("Account must be valid.")
    rate = books.tax_rates.get(tax_type) if tax_type else None
    if tax_type and (rate is None or rate["Status"] != "ACTIVE"):
        wrong.append(f"The TaxType code '{tax_type}' does not exist or cannot be used for this type of transaction.")
    elif rate is not None and account is not None and not wrong and not _fits(rate, account):
        wrong.append(f"The TaxType code '{tax_type}' cannot be used with account code '{code}'.")
    elif not tax_type and rules.approved and not is_text:
        wrong.append("Tax rate must be valid.")
    if wrong:
        raise Refused(*wrong)


_APPLIES = {
    "ASSET": "CanApplyToAssets",
    "EQUITY": "CanApplyToEquity",
    "EXPENSE": "CanApplyToExpenses",
    "LIABILITY": "CanApplyToLiabilities",
    "REVENUE": "CanApplyToRevenue",
}


def _fits(rate: Record, account: Record) -> bool:
    return bool(rate.get(_APPLIES[account["Class"]], True))


def _description(given: Record, rules: Rules) -> str | None:
    text = given.get("Description")
    if text is not None and not isinstance(text, str):
        raise Refused("The Description is not a valid text.")
    if text is not None and len(text) > MAX_DESCRIPTION:
        raise Refused(f"The length of the Description field must not exceed {MAX_DESCRIPTION} characters.")
    if rules.approved and not text:
        raise Refused("Description is mandatory for this type of transaction.")
    return text


def _amounts(given: Record, rules: Rules) -> tuple[Decimal, Decimal, Decimal]:
    """(quantity, unit amount, line amount): whatever is missing is computed. Raises Refused."""
    quantity, unit, amount = given.get("Quantity"), given.get("UnitAmount"), given.get("LineAmount")
    factor, off = _discounts(given, rules)
    step = _PLACES[rules.places]
    if unit is not None:
        unit = unit.quantize(step, ROUND_HALF_UP)
    if quantity is not None:
        quantity = quantity.quantize(_PLACES[4], ROUND_HALF_UP)
    if amount is not None and (quantity is None or unit is None):
        gross = (amount + off) / factor if factor else ZERO
        if quantity is None:
            quantity = (gross / unit).quantize(_PLACES[4], ROUND_HALF_UP) if unit else Decimal("1.0000")
        if unit is None:
            unit = (gross / quantity).quantize(step, ROUND_HALF_UP) if quantity else ZERO
        return quantity, unit, cents(amount)
    if quantity is None:
        quantity = Decimal("0.0000") if unit is None else Decimal("1.0000")
    unit = unit if unit is not None else ZERO
    expected = cents(quantity * unit * factor - off)
    if amount is not None and cents(amount) != expected:
        raise Refused(f"The line total {cents(amount)} does not match the expected line total {expected}")
    return quantity, unit, expected


def _discounts(given: Record, rules: Rules) -> tuple[Decimal, Decimal]:
    """(factor, amount off) of the line's discount."""
    rate, off = given.get("DiscountRate"), given.get("DiscountAmount")
    if (rate or off) and rules.type != "ACCREC":
        raise Refused("Discounts are only supported on sales invoices.")
    if rate is not None and not 0 <= rate <= _HUNDRED:
        raise Refused("The DiscountRate must be between 0 and 100.")
    if off is not None and off < 0:
        raise Refused("The DiscountAmount must not be negative.")
    if rate and off:
        raise Refused("Only one of DiscountRate and DiscountAmount can be given for a line.")
    return (_HUNDRED - (rate or 0)) / _HUNDRED, off or ZERO


def _tax(books: Books, given: Record, tax_type: str | None, amount: Decimal, rules: Rules) -> Decimal:
    if rules.amounts == "NoTax" or not tax_type:
        return ZERO
    if given.get("TaxAmount") is not None:
        return cents(given["TaxAmount"])
    rate: Decimal = books.tax_rates[tax_type]["EffectiveRate"]
    if rules.amounts == "Inclusive":
        return cents(amount * rate / (_HUNDRED + rate))
    return cents(amount * rate / _HUNDRED)


def _discount(line: Record) -> Decimal:
    if not (line.get("DiscountRate") or line.get("DiscountAmount")):
        return ZERO
    return cents(line["Quantity"] * line["UnitAmount"]) - Decimal(line["LineAmount"])


def view(lines: Sequence[Record], places: int) -> list[Record]:
    """Lines as Xero shows them: unit amounts with 2 places, or 4 when asked for."""
    return [line | {"UnitAmount": line["UnitAmount"].quantize(_PLACES[places], ROUND_HALF_UP)} for line in lines]
