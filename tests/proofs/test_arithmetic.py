"""The proofs against the real files, figures as a person counted them once, and against a few rows by hand."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.proofs.maven_arithmetic import expected_maven
from tests.proofs.northwind_arithmetic import expected_northwind
from tests.support.shared import require_shared


@pytest.mark.shared
def test_northwind_bills_654_orders_and_names_the_rest() -> None:
    books = expected_northwind(require_shared("data", "northwind"))
    assert len(books.orders) == 654
    assert len(books.by_customer) == 67
    assert books.total == Decimal("1101081.16")
    assert sum(books.freight.values()) == Decimal("54835.77")
    by_file = {name: sum(1 for file, _, _ in books.broken if file == name) for name in {b[0] for b in books.broken}}
    assert by_file == {"customers.csv": 24, "orders.csv": 176, "order-details.csv": 439}
    # Order 10248: 14.00*12 + 9.80*10 + 34.80*5 = 440.00, freight 32.38.
    assert books.orders["10248"] == Decimal("472.38")


@pytest.mark.shared
def test_maven_has_4238_won_deals_of_which_729_need_an_alias() -> None:
    books = expected_maven(require_shared("data", "maven_crm"))
    assert (len(books.with_account), len(books.alias), len(books.without_account)) == (3509, 729, 0)
    assert books.alias_products == {"GTXPro": 729}
    assert books.total_with_account + books.total_alias == Decimal(10005534)
    assert books.total_alias == Decimal(3510578)
    assert books.open_without_account == 1425
    assert books.broken == []


def test_a_half_cent_goes_up_on_the_line_and_a_bare_comma_breaks_the_row(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("customerID,address\nA,Main St\nB,Rua, 67\n")
    (tmp_path / "products.csv").write_text("productID\n1\n")
    (tmp_path / "orders.csv").write_text("orderID,customerID,freight\n1,A,2.50\n2,B,1.00\n3,A,1.00\n")
    (tmp_path / "order-details.csv").write_text(
        # 1.30 * 3 * 0.95 = 3.705 -> 3.71; twice, so that rounding the sum (7.41) would show.
        "orderID,productID,unitPrice,quantity,discount\n1,1,1.30,3,0.05\n1,1,1.30,3,0.05\n2,1,1,1,0\n3,9,1,1,0\n"
    )
    books = expected_northwind(tmp_path)
    assert books.orders == {"1": Decimal("9.92")}
    assert [(file, line) for file, line, _ in books.broken] == [
        ("customers.csv", 3),
        ("order-details.csv", 5),
        ("orders.csv", 3),
        ("orders.csv", 4),
    ]
