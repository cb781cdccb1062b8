"""Whether what is in Xero is what was sent: only the fields that were sent, amounts exact, lines in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tieout.connectors.comparing import Difference, number_of, same_rate, shown, text_of
from tieout.connectors.xero.dates import day

_DATES = {"Date", "DueDate", "ExpectedPaymentDate"}
_NUMBERS = {
    "Quantity",
    "UnitAmount",
    "DiscountRate",
    "DiscountAmount",
    "TaxAmount",
    "LineAmount",
    "SubTotal",
    "TotalTax",
    "Total",
    "Amount",
}
RATE_PLACES = 6  # of a CurrencyRate, that Xero keeps at least
_IDS = {"ContactID", "InvoiceID", "CreditNoteID", "PaymentID", "BrandingThemeID", "LineItemID", "AccountID"}
#: How far a document is on its way; a person may have taken it further since.
_PROGRESS = {"DRAFT": 0, "SUBMITTED": 1, "AUTHORISED": 2, "PAID": 3}
_LISTED = {"Addresses": "AddressType", "Phones": "PhoneType"}


def differences(sent: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[Difference, ...]:
    """(field, sent, found) for each sent field that Xero holds otherwise."""
    return tuple(_compare("", sent, found))


def _compare(prefix: str, sent: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Difference]:
    for name, value in sent.items():
        there = found.get(name)
        label = f"{prefix}{name}"
        if name == "LineItems":
            yield from _lines(label, value, there)
        elif name in _LISTED:
            yield from _listed(label, _LISTED[name], value, there)
        elif isinstance(value, dict):
            yield from _compare(f"{label}.", value, there if isinstance(there, dict) else {})
        elif not _same(name, value, there):
            yield label, shown(value), shown(there)


def _lines(label: str, sent: Any, found: Any) -> Iterator[Difference]:
    sent = sent if isinstance(sent, list) else []
    found = found if isinstance(found, list) else []
    if len(sent) != len(found):
        yield label, f"{len(sent)} lines", f"{len(found)} lines"
        return
    for number, (line, there) in enumerate(zip(sent, found, strict=True), start=1):
        yield from _compare(f"{label}[{number}].", line, there)


def _listed(label: str, kind: str, sent: Any, found: Any) -> Iterator[Difference]:
    there = {item.get(kind): item for item in found or [] if isinstance(item, dict)}
    for item in sent if isinstance(sent, Sequence) and not isinstance(sent, str) else []:
        yield from _compare(f"{label}[{item.get(kind)}].", item, there.get(item.get(kind), {}))


def _same(name: str, sent: Any, found: Any) -> bool:
    if name == "Status" and sent in _PROGRESS and found in _PROGRESS:
        return _PROGRESS[found] >= _PROGRESS[sent]
    if name in _DATES:
        return day(sent) == day(found)
    if name == "CurrencyRate":
        return same_rate(sent, found, RATE_PLACES)
    if name in _NUMBERS:
        return number_of(sent) == number_of(found)
    if name in _IDS:
        return str(sent or "").lower() == str(found or "").lower()
    if isinstance(sent, bool):
        return sent is found
    return text_of(sent) == text_of(found)
