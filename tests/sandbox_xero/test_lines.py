"""The arithmetic of lines: computed, checked and rounded exactly."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.state import State
from sandbox.xero.books import INVOICE, Books
from sandbox.xero.errors import Refused
from sandbox.xero.lines import Rules, Sums, build
from sandbox.xero.seed import seed
from tests.sandbox_xero.conftest import line

DEC = Decimal


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    folder: Path = tmp_path_factory.mktemp("books")
    state = State(folder / "x.sqlite")
    seed(state)
    yield Books(state)
    state.close()


def sums(
    books: Books, *lines: dict[str, Any], amounts: str = "Exclusive", type_: str = "ACCREC", places: int = 2
) -> Sums:
    return build(books, list(lines), Rules(INVOICE, type_, amounts, True, places))


@pytest.mark.parametrize(
    ("amounts", "tax_type", "expected"),
    [
        ("Exclusive", "OUTPUT2", ("99.99", "20.00", "119.99")),
        ("Inclusive", "OUTPUT2", ("83.32", "16.67", "99.99")),
        ("NoTax", "OUTPUT2", ("99.99", "0.00", "99.99")),
        ("Exclusive", "RROUTPUT", ("99.99", "5.00", "104.99")),
        ("Inclusive", "RROUTPUT", ("95.23", "4.76", "99.99")),
        ("Exclusive", "ZERORATEDOUTPUT", ("99.99", "0.00", "99.99")),
    ],
)
def test_tax_is_added_contained_or_absent(
    books: Books, amounts: str, tax_type: str, expected: tuple[str, str, str]
) -> None:
    found = sums(books, line("99.99", TaxType=tax_type), amounts=amounts)
    assert (found.sub_total, found.total_tax, found.total) == tuple(DEC(text) for text in expected)


def test_halves_are_rounded_away_from_zero_line_by_line(books: Books) -> None:
    found = sums(books, line("0.125", TaxType="OUTPUT2"), line("-0.125", TaxType="OUTPUT2"), places=4)
    assert [entry["LineAmount"] for entry in found.lines] == [DEC("0.13"), DEC("-0.13")]
    tax = sums(books, *[line("0.13", TaxType="RROUTPUT")] * 4)
    assert tax.total_tax == DEC("0.04")  # four times 0.0065, and not 0.026 rounded once


def test_unit_amounts_have_two_places_unless_four_are_asked_for(books: Books) -> None:
    given_line = line("1.2345", Quantity="100")
    assert sums(books, given_line).lines[0]["LineAmount"] == DEC("123.00")
    assert sums(books, given_line, places=4).lines[0]["LineAmount"] == DEC("123.45")


def test_discounts(books: Books) -> None:
    rate = sums(books, line("9.99", Quantity="3", DiscountRate="10"))
    assert (rate.sub_total, rate.discount) == (DEC("26.97"), DEC("3.00"))
    off = sums(books, line("9.99", Quantity="3", DiscountAmount="1.97"))
    assert (off.sub_total, off.discount) == (DEC("28.00"), DEC("1.97"))
    for bad in ({"DiscountRate": 101}, {"DiscountRate": -1}, {"DiscountAmount": -1}):
        with pytest.raises(Refused, match="must"):
            sums(books, line(**bad))
    with pytest.raises(Refused, match="Only one"):
        sums(books, line(DiscountRate=1, DiscountAmount=1))
    with pytest.raises(Refused, match="only supported on sales invoices"):
        sums(books, line(DiscountRate=1, AccountCode="429"), type_="ACCPAY")


def test_a_line_amount_must_be_the_product(books: Books) -> None:
    assert sums(books, line("10.00", Quantity=2, LineAmount="20.00")).sub_total == DEC("20.00")
    with pytest.raises(Refused, match=r"The line total 20.01 does not match the expected line total 20.00"):
        sums(books, line("10.00", Quantity=2, LineAmount="20.01"))


def test_the_missing_one_of_three_is_computed(books: Books) -> None:
    no_quantity = sums(books, line("4.00", Quantity=None, LineAmount="10.00")).lines[0]
    no_unit = sums(books, line(Quantity=3, UnitAmount=None, LineAmount="10.00")).lines[0]
    only_amount = sums(books, line(Quantity=None, UnitAmount=None, LineAmount="10.00")).lines[0]
    assert (no_quantity["Quantity"], no_quantity["LineAmount"]) == (DEC("2.5"), DEC("10.00"))
    assert (no_unit["UnitAmount"], no_unit["LineAmount"]) == (DEC("3.33"), DEC("10.00"))
    assert (only_amount["Quantity"], only_amount["UnitAmount"]) == (DEC("1"), DEC("10.00"))


def test_a_given_tax_amount_is_kept(books: Books) -> None:
    found = sums(books, line("100.00", TaxType="OUTPUT2", TaxAmount="19.99"))
    assert (found.total_tax, found.total) == (DEC("19.99"), DEC("119.99"))


def test_the_account_gives_the_tax_type(books: Books) -> None:
    assert sums(books, line()).lines[0]["TaxType"] == "OUTPUT2"


def test_archived_accounts_are_refused(books: Books) -> None:
    account = books.account_codes.first("260")
    assert account is not None
    books.accounts.put(account["AccountID"], account | {"Status": "ARCHIVED"})
    with pytest.raises(Refused, match="Account code '260' has been archived"):
        sums(books, line(AccountCode="260"))


@given(
    st.lists(
        st.tuples(
            st.decimals(0, 1000, places=4),
            st.decimals(-1000, 1000, places=4),
            st.decimals(0, 100, places=2),
            st.sampled_from(["OUTPUT2", "RROUTPUT", "NONE"]),
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["Exclusive", "Inclusive", "NoTax"]),
)
def test_documents_add_up_to_the_cent(
    books: Books, entries: list[tuple[Decimal, Decimal, Decimal, str]], amounts: str
) -> None:
    elements = [
        line(str(unit), Quantity=str(quantity), DiscountRate=str(rate), TaxType=tax)
        for quantity, unit, rate, tax in entries
    ]
    found = sums(books, *elements, amounts=amounts, places=4)
    rates = {"OUTPUT2": 20, "RROUTPUT": 5, "NONE": 0}
    net = tax = DEC(0)
    for quantity, unit, rate, tax_type in entries:
        amount = (quantity * unit * (100 - rate) / 100).quantize(DEC("0.01"), ROUND_HALF_UP)
        share = DEC(0 if amounts == "NoTax" else rates[tax_type])
        divisor = 100 + share if amounts == "Inclusive" else DEC(100)
        part = (amount * share / divisor).quantize(DEC("0.01"), ROUND_HALF_UP)
        net += amount - part if amounts == "Inclusive" else amount
        tax += part
    assert (found.sub_total, found.total_tax, found.total) == (net, tax, net + tax)
