"""The workbook: a cover with tie-out and sign-offs, a sheet for each area with a row for each break, totals that foot.

Amounts are real numbers, totals are formulas with their value beside them, so that a reader without a calculator shows
the same. Text is written as text, never looked at for formulas or addresses (XlsxWriter is told so, cell by cell).
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

import xlsxwriter
from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell

from tieout.model.errors import ConfigurationFault
from tieout.model.tie_out import Item, TieOut, Total
from tieout.reports.export import COLUMNS
from tieout.reports.present import exact, figure, harmless, moment, words
from tieout.reports.tie_out import by_currency, order_of, verdict

#: Rows of a sheet in the file format, less the heading and the totals.
MOST_ROWS = 1_000_000
#: Characters of a cell in the file format.
MOST_CHARACTERS = 32_767
_OPTIONS = {
    "constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
    "default_date_format": "yyyy-mm-dd",
}  # fmt: skip
_AMOUNT = next(place for place, column in enumerate(COLUMNS) if column.kind == "amount")
_CURRENCY = next(place for place, column in enumerate(COLUMNS) if column.name == "Currency")
#: Beside the amounts that a spreadsheet's 15 digits cannot hold.
_EXACT_COLUMN = len(COLUMNS)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What was written on an area's sheet: its name, how many rows; exact sums and counts by (currency, scale)."""

    name: str
    rows: int
    sums: dict[tuple[str, int], int]
    counts: dict[tuple[str, int], int]


class _Book:
    """An open workbook with its formats; each format is made once."""

    def __init__(self) -> None:
        self.bytes = io.BytesIO()
        self.book = xlsxwriter.Workbook(self.bytes, _OPTIONS)
        self._formats: dict[tuple[tuple[str, Any], ...], Any] = {}

    def style(self, **properties: Any) -> Any:
        key = tuple(sorted(properties.items()))
        if key not in self._formats:
            self._formats[key] = self.book.add_format(properties)
        return self._formats[key]

    def money(self, scale: int, **more: Any) -> Any:
        zeros = f".{'0' * scale}" if scale else ""
        return self.style(num_format=f"#,##0{zeros};[Red]-#,##0{zeros}", **more)

    def close(self) -> bytes:
        self.book.close()
        return self.bytes.getvalue()


def of_report(page: TieOut, items: Iterable[Item]) -> bytes:
    """The workbook of a report. `items`: all of the report, sorted by area."""
    book = _Book()
    cover = book.book.add_worksheet("Tie-out")
    sheets = _item_sheets(book, items, page.head.as_of)
    _cover(book, cover, page, sheets)
    _rolls(book, page)
    _history(book, page)
    return book.close()


def of_choice(title: str, choice: Sequence[tuple[str, str]], items: Iterable[Item], day: date) -> bytes:
    """The workbook of a filtered list: what was chosen, and the same sheets."""
    book = _Book()
    cover = book.book.add_worksheet("Choice")
    cover.set_column(0, 0, 18)
    cover.set_column(1, 5, 20)
    sheets = _item_sheets(book, items, day)
    _text(book, cover, 0, 0, title, bold=True, font_size=14)
    row = 1
    for row, (name, value) in enumerate(choice, start=1):
        _text(book, cover, row, 0, name)
        _text(book, cover, row, 1, value)
    row += 2
    for place, heading in enumerate(("Area", "Currency", "Breaks", "Amount (A - B)")):
        _text(book, cover, row, place, heading, bold=True, bottom=1)
    for area, sheet in sheets.items():
        for (currency, scale), amount in sheet.sums.items():
            row += 1
            _text(book, cover, row, 0, words(area))
            _text(book, cover, row, 1, currency)
            counted = f'=COUNTIFS({_range(sheet, _CURRENCY)},"{_criterion(currency)}")'
            _formula(cover, row, 2, counted, Decimal(sheet.counts[currency, scale]), book.style(num_format="#,##0"))
            _sum(book, cover, row, 3, sheet, currency, scale, amount)
    return book.close()


def _item_sheets(book: _Book, items: Iterable[Item], day: date) -> dict[str, Sheet]:
    return {area: _items(book, area, group, day) for area, group in groupby(items, key=lambda item: item.area)}


def _items(book: _Book, area: str, items: Iterator[Item], day: date) -> Sheet:
    name = words(area).capitalize()[:31]
    sheet = book.book.add_worksheet(name)
    for place, column in enumerate(COLUMNS):
        sheet.set_column(place, place, column.width)
        _text(book, sheet, 0, place, column.name, bold=True, bottom=1, text_wrap=True, valign="top")
    sheet.set_column(_EXACT_COLUMN, _EXACT_COLUMN, 24)
    _text(
        book, sheet, 0, _EXACT_COLUMN, "Exact amount, where 15 digits are too few", bold=True, bottom=1, text_wrap=True
    )
    sheet.freeze_panes(1, 1)
    sheet.repeat_rows(0)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sums: dict[tuple[str, int], int] = defaultdict(int)
    counts: dict[tuple[str, int], int] = defaultdict(int)
    row = 0
    for row, item in enumerate(items, start=1):
        if row > MOST_ROWS:
            raise ConfigurationFault(f"{name}: more than {MOST_ROWS:,} rows do not fit into a workbook: take the CSV")
        for place, column in enumerate(COLUMNS):
            _cell(book, sheet, row, place, column.kind, column.value(item, day), item.scale)
        amount = exact(item.amount, item.scale)
        if not _fits(amount):
            _text(book, sheet, row, _EXACT_COLUMN, figure(item.amount, item.scale))
        sums[item.currency, item.scale] += item.amount
        counts[item.currency, item.scale] += 1
    sheet.autofilter(0, 0, row, _EXACT_COLUMN)
    written = Sheet(name, row, dict(sorted(sums.items())), counts)
    for line, ((currency, scale), total) in enumerate(written.sums.items(), start=row + 2):
        _text(book, sheet, line, 1, "Total", bold=True, top=1)
        _text(book, sheet, line, _CURRENCY, currency, bold=True, top=1)
        _sum(book, sheet, line, _AMOUNT, written, currency, scale, total, bold=True, top=1)
    return written


def _cover(book: _Book, cover: Any, page: TieOut, sheets: dict[str, Sheet]) -> None:
    head = page.head
    cover.set_column(0, 0, 18)
    cover.set_column(1, 1, 10)
    cover.set_column(2, 8, 18)
    cover.set_landscape()
    cover.fit_to_pages(1, 0)
    _text(book, cover, 0, 0, f"Tie-out of {head.link} as of {head.as_of}", bold=True, font_size=14)
    _text(book, cover, 1, 0, verdict(page), font_color="#1C7C43" if head.state == "tied" else "#B3261E")
    facts = (
        ("Report", f"{head.report_id}, known at {moment(head.known_at)}"),
        ("Hash", head.hash or ""),
        ("Rules, mappings, code", f"{head.rules_hash[:12]}, {head.mapping_hash[:12]}, {head.code_version}"),
        ("Made", moment(datetime.now(UTC))),
    )
    for row, (name, value) in enumerate(facts, start=2):
        _text(book, cover, row, 0, name)
        _text(book, cover, row, 1, value)
    row = 7
    headings = ("Area", "Currency", "CRM (A)", "Ledger (B)", "Difference (A - B)", "Explained", "Unexplained",
                "Documents A", "Documents B")  # fmt: skip
    for place, heading in enumerate(headings):
        _text(book, cover, row, place, heading, bold=True, bottom=1)
    for blocks in by_currency(page).values():
        for block in blocks:
            row += 1
            _total(book, cover, row, block.total, sheets.get(block.total.area))
    row = _classes_on(book, cover, row + 2, page)
    _signatures_on(book, cover, row + 2, page)


def _total(book: _Book, cover: Any, row: int, total: Total, sheet: Sheet | None) -> None:
    money = book.money(total.scale)
    _text(book, cover, row, 0, words(total.area))
    _text(book, cover, row, 1, total.currency)
    _number(cover, row, 2, exact(total.a_amount, total.scale), money)
    _number(cover, row, 3, exact(total.b_amount, total.scale), money)
    a, b, difference, explained = (xl_rowcol_to_cell(row, place) for place in (2, 3, 4, 5))
    _formula(cover, row, 4, f"={a}-{b}", exact(total.difference, total.scale), money)
    if sheet is not None:
        # What the sheet's rows come to: where that is not what the report says is explained, the cover shows it.
        _sum(book, cover, row, 5, sheet, total.currency, total.scale, sheet.sums.get((total.currency, total.scale), 0))
    else:
        _number(cover, row, 5, exact(total.explained, total.scale), money)
    _formula(cover, row, 6, f"={difference}-{explained}", exact(total.unexplained, total.scale), money)
    count = book.style(num_format="#,##0")
    _number(cover, row, 7, Decimal(total.a_count), count)
    _number(cover, row, 8, Decimal(total.b_count), count)


def _classes_on(book: _Book, cover: Any, row: int, page: TieOut) -> int:
    headings = ("Area", "Currency", "Class", "Breaks", "New", "Within tolerance", "Amount (A - B)")
    for place, heading in enumerate(headings):
        _text(book, cover, row, place, heading, bold=True, bottom=1)
    count = book.style(num_format="#,##0")
    for one in sorted(page.classes, key=order_of):
        row += 1
        _text(book, cover, row, 0, words(one.area))
        _text(book, cover, row, 1, one.currency)
        _text(book, cover, row, 2, words(one.class_))
        for place, number in enumerate((one.count, one.new_count, one.within_tolerance), start=3):
            _number(cover, row, place, Decimal(number), count)
        _number(cover, row, 6, exact(one.amount, one.scale), book.money(one.scale))
    return row


def _signatures_on(book: _Book, cover: Any, row: int, page: TieOut) -> None:
    _text(book, cover, row, 0, "Signed", bold=True, bottom=1)
    valid = [one for one in page.signatures if one.suspended_at is None]
    for one in reversed(valid):
        row += 1
        _text(book, cover, row, 0, f"as {one.role}")
        _text(book, cover, row, 1, f"{one.person}, {moment(one.signed_at)}{f': {one.note}' if one.note else ''}")
    if not valid:
        _text(book, cover, row + 1, 0, "Nobody has signed these figures.")


def _rolls(book: _Book, page: TieOut) -> None:
    sheet = book.book.add_worksheet("Roll-forward")
    sheet.set_column(0, 11, 15)
    headings = ("Area", "Currency", "Opening", "New", "Cleared", "Changed", "Closing", "Opening breaks", "New breaks",
                "Cleared breaks", "Closing breaks")  # fmt: skip
    for place, heading in enumerate(headings):
        _text(book, sheet, 0, place, heading, bold=True, bottom=1)
    sheet.freeze_panes(1, 0)
    count = book.style(num_format="#,##0")
    for row, roll in enumerate(sorted(page.rolls, key=order_of), start=1):
        money = book.money(roll.scale)
        _text(book, sheet, row, 0, words(roll.area))
        _text(book, sheet, row, 1, roll.currency)
        for place, amount in enumerate((roll.opening, roll.new, roll.cleared, roll.changed), start=2):
            _number(sheet, row, place, exact(amount, roll.scale), money)
        c, d, e, f = (xl_rowcol_to_cell(row, place) for place in (2, 3, 4, 5))
        _formula(sheet, row, 6, f"={c}+{d}-{e}+{f}", exact(roll.closing, roll.scale), money)
        for place, number in enumerate((roll.opening_count, roll.new_count, roll.cleared_count), start=7):
            _number(sheet, row, place, Decimal(number), count)
        h, i, j = (xl_rowcol_to_cell(row, place) for place in (7, 8, 9))
        _formula(sheet, row, 10, f"={h}+{i}-{j}", Decimal(roll.closing_count), count)


def _history(book: _Book, page: TieOut) -> None:
    sheet = book.book.add_worksheet("Sign-offs")
    for place, (heading, width) in enumerate(
        (("When", 24), ("Role", 12), ("Person", 24), ("Report", 9), ("Hash", 68), ("Note", 40), ("Suspended", 24),
         ("By report", 9))
    ):  # fmt: skip
        sheet.set_column(place, place, width)
        _text(book, sheet, 0, place, heading, bold=True, bottom=1)
    sheet.freeze_panes(1, 0)
    whole = book.style(num_format="0")
    for row, one in enumerate(reversed(page.signatures), start=1):
        for place, value in enumerate((moment(one.signed_at), one.role, one.person)):
            _text(book, sheet, row, place, value)
        _number(sheet, row, 3, Decimal(one.report_id), whole)
        for place, value in enumerate((one.hash, one.note or "", moment(one.suspended_at)), start=4):
            _text(book, sheet, row, place, value)
        if one.suspended_by is not None:
            _number(sheet, row, 7, Decimal(one.suspended_by), whole)


def _cell(book: _Book, sheet: Any, row: int, place: int, kind: str, value: Any, scale: int) -> None:
    if value is None:
        return
    if kind == "amount":
        _number(sheet, row, place, value, book.money(scale))
    elif kind == "number":
        _number(sheet, row, place, Decimal(value), book.style(num_format="0"))
    elif kind == "date":
        sheet.write_datetime(row, place, value, book.style(num_format="yyyy-mm-dd"))  # a date is enough
    else:
        _text(book, sheet, row, place, value)


def _text(book: _Book, sheet: Any, row: int, place: int, value: str, **properties: Any) -> None:
    """Text as text, whatever it begins with; cut where the format ends."""
    plain = harmless(value)
    if not plain:
        return
    if len(plain) > MOST_CHARACTERS:
        plain = f"{plain[: MOST_CHARACTERS - 8]} … (cut)"
    sheet.write_string(row, place, plain, book.style(**properties) if properties else None)


def _number(sheet: Any, row: int, place: int, value: Decimal, style: Any) -> None:
    sheet.write_number(row, place, value, style)


def _formula(sheet: Any, row: int, place: int, formula: str, value: Decimal, style: Any) -> None:
    # A number as the value beside it: a text would be shown by a reader that does not compute, and never summed.
    sheet.write_formula(row, place, formula, style, value)


def _range(sheet: Sheet, place: int) -> str:
    column = xl_col_to_name(place)
    return f"'{sheet.name}'!${column}$2:${column}${sheet.rows + 1}"


def _sum(
    book: _Book, target: Any, row: int, place: int, sheet: Sheet, currency: str, scale: int, value: int, **more: Any
) -> None:
    formula = f'=SUMIFS({_range(sheet, _AMOUNT)},{_range(sheet, _CURRENCY)},"{_criterion(currency)}")'
    _formula(target, row, place, formula, exact(value, scale), book.money(scale, **more))


def _criterion(currency: str) -> str:
    """A currency inside a formula: letters only, so that nothing in it can end the text."""
    return "".join(letter for letter in currency if letter.isalpha())


def _fits(amount: Decimal) -> bool:
    """Whether a spreadsheet's number, a double that shows 15 digits, is this amount."""
    return Decimal(f"{float(amount):.15g}") == amount
