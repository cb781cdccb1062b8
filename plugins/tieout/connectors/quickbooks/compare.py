"""Whether what is in QuickBooks is what was sent: only the fields that were sent, amounts exact, lines in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tieout.connectors.comparing import Difference, number_of, same_rate, shown, text_of

RATE_PLACES = 6
#: Intuit's own bookkeeping; what it does not give back where it does not apply (the US has no such choice), or masked.
_NOT_COMPARED = {"SyncToken", "sparse", "domain", "GlobalTaxCalculation", "PrimaryTaxIdentifier"}
#: Lines that Intuit adds.
_ADDED = {"SubTotalLineDetail", "TaxLineDetail"}


def differences(sent: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[Difference, ...]:
    """(field, sent, found) for each sent field that QuickBooks holds otherwise."""
    return tuple(_compare("", sent, found))


def _compare(prefix: str, sent: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Difference]:
    for name, value in sent.items():
        there = found.get(name)
        label = f"{prefix}{name}"
        if name in _NOT_COMPARED:
            continue
        if name == "Line":
            yield from _lines(label, value, there)
        elif isinstance(value, dict):
            yield from _compare(f"{label}.", value, there if isinstance(there, dict) else {})
        elif isinstance(value, list):
            yield from _list(label, value, there)
        elif not _same(name, value, there):
            yield label, shown(value), shown(there)


def _lines(label: str, sent: Any, found: Any) -> Iterator[Difference]:
    sent, found = _dicts(sent), [line for line in _dicts(found) if line.get("DetailType") not in _ADDED]
    if any(line.get("LinkedTxn") for line in sent):
        # A payment's lines have no order of their own.
        sent, found = sorted(sent, key=_link), sorted(found, key=_link)
    yield from _list(label, sent, found)


def _list(label: str, sent: Sequence[Any], found: Any) -> Iterator[Difference]:
    found = found if isinstance(found, list) else []
    if len(sent) != len(found):
        yield label, f"{len(sent)} lines", f"{len(found)} lines"
        return
    for number, (line, there) in enumerate(zip(sent, found, strict=True), start=1):
        if isinstance(line, dict):
            yield from _compare(f"{label}[{number}].", line, there if isinstance(there, dict) else {})
        elif not _same(label, line, there):
            yield f"{label}[{number}]", shown(line), shown(there)


def _link(line: Mapping[str, Any]) -> tuple[str, str]:
    link = (_dicts(line.get("LinkedTxn")) or [{}])[0]
    return str(link.get("TxnType")), str(link.get("TxnId"))


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _same(name: str, sent: Any, found: Any) -> bool:
    if name == "ExchangeRate":
        return same_rate(sent, found, RATE_PLACES)
    if isinstance(sent, bool):
        return sent is found
    if not isinstance(sent, str):
        return number_of(sent) == number_of(found)
    if name in ("TxnDate", "DueDate"):
        return text_of(sent)[:10] == text_of(found)[:10]
    return text_of(sent) == text_of(found)
