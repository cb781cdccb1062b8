"""The workbook and the CSV, opened as a reader opens them: they foot, and nothing from a CRM becomes a formula."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import openpyxl
import pytest

from tests.unit.reports import attacks
from tieout.model.tie_out import ClassSum, Head, Item, Roll, Signature, TieOut, Total, age_bucket
from tieout.reports import export, workbook
from tieout.reports.present import harmless

DAY = date(2026, 11, 26)
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
HEAD = Head(7, "acme_eu", DAY, NOON, UUID(int=1), 6, "r" * 64, "m" * 64, "1.0", "tied", "h" * 64, NOON, NOON)


def item(number: int, amount: int, **values: Any) -> Item:
    found = Item(
        number, "acme_eu", "invoices", "amount", "amount", "EUR", 2, amount, False, ("order:801",), ("invoice:i",),
        "001", "Müller & Söhne GmbH", ("INV-1", "801"), "They differ.", None, date(2026, 11, 1), DAY, None, 0, "open",
        None, None, None,
    )  # fmt: skip
    return replace(found, **values)


ITEMS = (
    item(1, 40000, due_on=date(2026, 12, 1), owner="sales"),
    item(2, -1, within_tolerance=True),
    item(3, 999_999_999_999_999_999),
    item(4, -215050, currency="GBP"),
    item(5, -7700, area="payments", class_="unapplied_cash"),
    item(6, 12500, area="prices", scale=4),
)


def page(items: Sequence[Item] = ITEMS) -> TieOut:
    """A report that these items explain in full."""
    sums: dict[tuple[str, str, int], int] = defaultdict(int)
    for one in items:
        sums[one.area, one.currency, one.scale] += one.amount
    totals = [Total(area, currency, scale, 10, 9, 5_000_00 + sum_, 5_000_00, sum_, 0)
              for (area, currency, scale), sum_ in sums.items()]  # fmt: skip
    classes = [ClassSum(one.area, one.currency, one.class_, 1, one.amount, 1, 0, one.scale) for one in items]
    rolls = [Roll(one.area, one.currency, 2, 100, 1, one.explained, 1, 30, -20, 2, 50 + one.explained, one.scale)
             for one in totals]  # fmt: skip
    signed = [
        Signature(2, 7, "acme_eu", DAY, "preparer", "=petra", "h" * 64, "+ again", NOON, None, None),
        Signature(1, 6, "acme_eu", DAY, "preparer", "petra", "g" * 64, None, NOON, NOON, 7),
    ]
    return TieOut(HEAD, totals, classes, rolls, signed)


def opened(body: bytes, **options: Any) -> Any:
    return openpyxl.load_workbook(io.BytesIO(body), **options)


def raw(body: bytes, sheet: int) -> str:
    return zipfile.ZipFile(io.BytesIO(body)).read(f"xl/worksheets/sheet{sheet}.xml").decode()


def test_amounts_are_numbers_with_their_decimals_and_dates_are_dates() -> None:
    sheet = opened(workbook.of_report(page(), ITEMS))["Invoices"]
    heads = [cell.value for cell in sheet[1]]
    first = dict(zip(heads, sheet[2], strict=True))
    assert (first["Amount (A - B)"].value, first["Amount (A - B)"].data_type) == (400, "n")
    assert first["Amount (A - B)"].number_format == "#,##0.00;[Red]-#,##0.00"
    assert first["Due"].value == datetime(2026, 12, 1) and first["Due"].is_date  # noqa: DTZ001 - as the reader gives it
    assert first["Age"].value == "0-30"
    assert opened(workbook.of_report(page(), ITEMS))["Prices"]["E2"].number_format == "#,##0.0000;[Red]-#,##0.0000"
    assert sheet.freeze_panes == "B2" and sheet.auto_filter.ref == "A1:T5"


def test_an_amount_of_eighteen_digits_stands_beside_in_full() -> None:
    sheet = opened(workbook.of_report(page(), ITEMS))["Invoices"]
    assert sheet["T4"].value == "9,999,999,999,999,999.99"
    assert sheet["T2"].value is None


def values_of(sheet: Any, reference: str) -> list[Any]:
    cells = sheet[reference.replace("$", "").rpartition("!")[2]]
    return [cells[0].value] if not isinstance(cells[0], tuple) else [row[0].value for row in cells]


def computed(formulas: Any, values: Any, formula: str, sheet: str) -> Decimal:
    """SUMIFS, COUNTIFS, sums and differences of cells: all that the workbook's formulas use."""
    if found := re.fullmatch(r"=SUMIFS\(('.+?'![^,]+),('.+?'![^,]+),\"(\w*)\"\)", formula):
        amounts, currencies, wanted = found.groups()
        name = amounts.partition("!")[0].strip("'")
        pairs = zip(values_of(values[name], amounts), values_of(values[name], currencies), strict=True)
        return sum((Decimal(repr(amount)) for amount, currency in pairs if currency == wanted), Decimal(0))
    if found := re.fullmatch(r"=COUNTIFS\(('.+?'![^,]+),\"(\w*)\"\)", formula):
        name = found[1].partition("!")[0].strip("'")
        return Decimal(values_of(values[name], found[1]).count(found[2]))
    total = Decimal(0)
    for sign, cell in re.findall(r"([=+-])([A-Z]+\d+)", formula):
        total += (-1 if sign == "-" else 1) * Decimal(repr(values[sheet][cell].value))
    return total


@pytest.mark.parametrize("make", [
    lambda items: workbook.of_report(page(items), items),
    lambda items: workbook.of_choice("Breaks", [("state", "open")], items, DAY),
])  # fmt: skip
def test_every_total_is_a_formula_whose_value_is_what_it_computes(make: Any) -> None:
    body = make(tuple(one for one in ITEMS if one.break_id != 3))
    formulas, values = opened(body), opened(body, data_only=True)
    count = 0
    for sheet in formulas.worksheets:
        for cell in (cell for row in sheet.iter_rows() for cell in row if cell.data_type == "f"):
            shown = values[sheet.title][cell.coordinate].value
            assert Decimal(repr(shown)) == computed(formulas, values, cell.value, sheet.title), cell.coordinate
            count += 1
    assert count >= 8


def test_the_cover_foots_and_shows_a_remainder() -> None:
    left = replace(page(), totals=[replace(page().totals[0], a_amount=page().totals[0].a_amount + 5, unexplained=5)])
    cover = opened(workbook.of_report(replace(left, head=replace(HEAD, state="untied")), ITEMS), data_only=True)[
        "Tie-out"
    ]
    assert cover["G9"].value == 0.05 and "Does not tie out: 0.05 EUR" in cover["A2"].value


def test_sign_offs_stand_with_their_history() -> None:
    sheet = opened(workbook.of_report(page(), ITEMS))["Sign-offs"]
    rows = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)]
    assert [(row[1], row[2], row[6] is not None, row[7]) for row in rows] == [
        ("preparer", "petra", True, 7), ("preparer", "=petra", False, None),
    ]  # fmt: skip


def test_a_roll_forward_closes_by_its_formula() -> None:
    values = opened(workbook.of_report(page(), ITEMS), data_only=True)["Roll-forward"]
    assert all(
        row[2].value + row[3].value - row[4].value + row[5].value == pytest.approx(row[6].value)
        for row in values.iter_rows(min_row=2)
    )


@pytest.mark.parametrize("attack", attacks.ALL)
def test_no_text_becomes_a_formula_or_a_link_in_the_workbook(attack: str) -> None:
    poisoned = item(1, 100, customer_name=attack, customer_id=attack, explanation=attack, owner=attack,
                    numbers=(attack,), a_keys=(attack,), reason_code=attack, state="accepted")  # fmt: skip
    body = workbook.of_report(page((poisoned,)), (poisoned,))
    sheet = opened(body)["Invoices"]
    heads = [cell.value for cell in sheet[1]]
    cells = dict(zip(heads, sheet[2], strict=True))
    for name in ("Customer", "Customer id", "Documents", "Explanation", "Owner", "Reason", "CRM records"):
        assert cells[name].data_type == "s", name
    (second,) = re.findall(r'<row r="2".*?</row>', raw(body, 2), re.S)
    assert "<f>" not in second and 't="inlineStr"' in second
    assert not any("hyperlink" in name.lower() for name in zipfile.ZipFile(io.BytesIO(body)).namelist())
    assert "externalLink" not in str(zipfile.ZipFile(io.BytesIO(body)).namelist())
    said = cells["Customer"].value.replace("_x005F_", "_")  # the format's way to write _x0041_, which is no A here
    assert said == harmless(attack) if len(attack) < 30_000 else said.endswith("… (cut)")


@pytest.mark.parametrize("attack", attacks.ALL)
def test_no_text_begins_a_formula_in_the_csv(attack: str) -> None:
    poisoned = item(1, -100, customer_name=attack, explanation=attack, owner=attack)
    text = b"".join(export.csv_lines([poisoned], DAY)).decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["Amount (A - B)"] == "-1.00", "an amount stays a number"
    for name in ("Customer", "Explanation", "Owner"):
        said = row[name]
        assert not re.match(r"[\s'\"\u200c-\u200f]*[=+\-@|%＝＋－＠]", said[1:] if said.startswith("'") else said) or (
            said.startswith("'")
        )
        assert said.removeprefix("'") in (harmless(attack), harmless(attack).removeprefix("'"))
    if attack in attacks.FORMULAS:
        assert row["Customer"].startswith("'")


@pytest.mark.parametrize("attack", attacks.SIGNS[:6])
def test_what_hides_or_turns_is_taken_out(attack: str) -> None:
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u2069\ufeff]", harmless(attack))


def test_scripts_and_families_of_emoji_keep_their_joiners() -> None:
    assert harmless("शक्‍ति 👩‍👧") == "शक्‍ति 👩‍👧"


def test_csv_is_for_excel_and_exact() -> None:
    body = b"".join(export.csv_lines(ITEMS, DAY))
    assert body.startswith(b"\xef\xbb\xbf") and body.count(b"\r\n") == len(ITEMS) + 1
    rows = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline="")))
    assert [row["Amount (A - B)"] for row in rows] == [
        "400.00", "-0.01", "9999999999999999.99", "-2150.50", "-77.00", "1.2500",
    ]  # fmt: skip
    assert rows[0]["Customer"] == "Müller & Söhne GmbH"


@pytest.mark.parametrize(
    ("days", "bucket"), [(0, "0-30"), (30, "0-30"), (31, "31-60"), (60, "31-60"), (61, "61-90"), (90, "61-90"),
                         (91, "over 90"), (4000, "over 90")],
)  # fmt: skip
def test_buckets_of_age_do_not_overlap(days: int, bucket: str) -> None:
    assert age_bucket(days) == bucket
