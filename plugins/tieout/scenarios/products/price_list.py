"""Finance's price list: a CSV file with prices in further currencies, with validity dates and quantity breaks.

    code,currency,price,valid_from,valid_to,from_quantity
    CHAIR,EUR,58.00,2026-01-01,2026-12-31,
    CHAIR,EUR,55.00,2026-01-01,,10

A date that is empty is no bound; both days belong to the time. A row without `from_quantity` is the list price; the
others are quantity breaks. For the ledger's own currency a row that is valid today goes before the item's price. Xero's
items have one price and none of this, so that this file is where finance keeps it. Not here: what becomes of a price.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

from tieout.model.errors import ConfigurationFault
from tieout.model.identity import content_hash
from tieout.scenarios.billing import Hold

COLUMNS = ("code", "currency", "price", "valid_from", "valid_to", "from_quantity")
_REMEDY = "correct the price list"


@dataclass(frozen=True, slots=True)
class Entry:
    """What the list says of one code today.

    Attributes:
        prices: currency -> list price.
        quantity_prices: a line for each quantity break, as the CRM shows it; None where there is none.
        fault: why the list cannot be used for this code.
    """

    prices: Mapping[str, Decimal] = field(default_factory=dict)
    quantity_prices: str | None = None
    fault: Hold | None = None

    @property
    def digest(self) -> str:
        """The same for the same prices: what changed is judged again."""
        prices = {currency: format(price.normalize(), "f") for currency, price in self.prices.items()}
        return content_hash([prices, self.quantity_prices, self.fault.found if self.fault else None])[:32]


@dataclass(frozen=True, slots=True)
class _Line:
    currency: str
    price: Decimal
    from_quantity: Decimal


def find(name: str | None, folders: Sequence[Path]) -> Path | None:
    """The file, in the first folder that has it; None without a name.

    Raises:
        ConfigurationFault: no folder has it.
    """
    if name is None:
        return None
    for folder in folders:
        path = folder / name
        if path.resolve().is_relative_to(folder.resolve()) and path.is_file():
            return path
    raise ConfigurationFault(f"price list {name!r}: no such file below {' or '.join(str(one) for one in folders)}")


def load(path: Path | None, today: date) -> dict[str, Entry]:
    """Code in small letters -> what is valid today. Codes of which nothing is valid today are left out.

    Raises:
        ConfigurationFault: the file is no CSV with the six columns; with its line.
    """
    if path is None:
        return {}
    lines: dict[str, list[_Line]] = {}
    faults: dict[str, Hold] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ConfigurationFault(f"{path.name}:1: expected the columns {','.join(COLUMNS)}")
            for row in reader:
                _take(path, reader.line_num, row, today, lines, faults)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigurationFault(f"price list {path.name} cannot be read: {error}") from error
    return {
        code: Entry(fault=faults[code]) if code in faults else _entry(path, code, lines[code])
        for code in sorted({*lines, *faults})
    }


def _take(
    path: Path, number: int, row: Mapping[str | None, str | list[str] | None], today: date,
    lines: dict[str, list[_Line]], faults: dict[str, Hold],
) -> None:  # fmt: skip
    cells = {str(name): value.strip() if isinstance(value, str) else "" for name, value in row.items() if name}
    code = cells["code"].lower()
    if None in row or not code:
        raise ConfigurationFault(f"{path.name}:{number}: expected {len(COLUMNS)} cells, the first of them a code")
    try:
        start, end = _day(cells["valid_from"]), _day(cells["valid_to"])
        line = _Line(cells["currency"], _number(cells["price"]), _number(cells["from_quantity"] or "1"))
        if len(line.currency) != 3:
            raise ValueError("expected a currency such as EUR")
        if start and end and end < start:
            raise ValueError("valid_to is before valid_from")
    except (ValueError, InvalidOperation) as error:
        shown = ",".join(cells[name] for name in COLUMNS)
        faults[code] = Hold(
            "price_list_unreadable", f"line {number} of the price list {path.name}: {error or 'not readable'}",
            "currency, price, dates YYYY-MM-DD or empty, a quantity or nothing", f"{path.name}:{number}: {shown}",
            _REMEDY,
        )  # fmt: skip
        return
    if (start is None or start <= today) and (end is None or today <= end):
        lines.setdefault(code, []).append(line)


def _entry(path: Path, code: str, lines: Sequence[_Line]) -> Entry:
    seen: dict[tuple[str, Decimal], Decimal] = {}
    for line in lines:
        place = (line.currency, line.from_quantity)
        if place in seen:
            found = f"{seen[place]} and {line.price} {line.currency} from {line.from_quantity}"
            return Entry(
                fault=Hold(
                    "price_list_overlaps", f"the price list {path.name} has two prices for {code} today",
                    "one price for a day, currency and quantity", found, _REMEDY,
                )
            )  # fmt: skip
        seen[place] = line.price
    breaks = sorted((currency, quantity, price) for (currency, quantity), price in seen.items() if quantity > 1)
    words = "\n".join(f"from {quantity:f}: {price:f} {currency}" for currency, quantity, price in breaks)
    return Entry({currency: price for (currency, quantity), price in seen.items() if quantity <= 1}, words or None)


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"expected a number, found {text!r}")
    return number
