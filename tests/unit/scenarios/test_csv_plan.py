"""Reading CSV folders by a profile: nothing guessed, nothing dropped in silence, an order whole or not at all."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from tests.proofs.maven_arithmetic import expected_maven
from tests.proofs.northwind_arithmetic import expected_northwind
from tests.support.shared import require_shared
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import PROJECT
from tieout.scenarios.crm_load import Ref
from tieout.scenarios.csv_plan import Plan, plan_folder
from tieout.scenarios.csv_profile import load_profile

NORTHWIND = load_profile(PROJECT / "include" / "csv" / "northwind.yaml")
MAVEN = load_profile(PROJECT / "include" / "csv" / "maven.yaml")
CUSTOMERS = "customerID,companyName,contactName,address,city,region,postalCode,country,phone,fax\n"
GOOD_CUSTOMER = "ANNA,Anna & Co,Anna,Main St 1,Ulm,NULL,89073,Germany,NULL,NULL\n"
ORDERS = (
    "orderID,customerID,orderDate,freight,shipAddress,shipCity,shipRegion,shipPostalCode,shipCountry\n"
    "1,ANNA,1996-07-04 00:00:00.000,32.38,Main St 1,Ulm,NULL,89073,Germany\n"
)


def folder_of(
    tmp_path: Path,
    *,
    customers: str = GOOD_CUSTOMER,
    orders: str = ORDERS,
    details: str = "1,7,14.00,12,0.05\n",
    products: str = "7,Chai,10 boxes,18.00\n",
) -> Path:
    """A Northwind folder with one good row in each file, where the test does not say otherwise."""
    (tmp_path / "customers.csv").write_text(CUSTOMERS + customers, encoding="utf-8")
    (tmp_path / "products.csv").write_text("productID,productName,quantityPerUnit,unitPrice\n" + products)
    (tmp_path / "orders.csv").write_text(orders)
    (tmp_path / "order-details.csv").write_text("orderID,productID,unitPrice,quantity,discount\n" + details)
    return tmp_path


def refusals(plan: Plan) -> list[tuple[str, int, str]]:
    return [(one.file, one.line, one.reason) for one in plan.refused]


def test_a_good_folder_becomes_records_with_exact_numbers(tmp_path: Path) -> None:
    plan = plan_folder(folder_of(tmp_path), NORTHWIND)
    assert refusals(plan) == []
    accounts, _, _, orders, lines = plan.planned
    assert accounts[0].record.fields["BillingState"] is None, "NULL is a text that means: no value"
    assert orders[0].record.fields["Freight__c"] == Decimal("32.38")
    assert orders[0].record.fields["EffectiveDate"] == "1996-07-04"
    assert orders[0].record.fields["AccountId"] == Ref("northwind:customer:ANNA")
    assert lines[0].record.fields["Discount_Percent__c"] == Decimal(5)


def test_a_bare_comma_is_refused_with_file_and_line_and_takes_what_refers_to_it(tmp_path: Path) -> None:
    customers = "ANNA,Anna & Co,Anna,Main St, 1,Ulm,NULL,89073,Germany,NULL,NULL\n"
    plan = plan_folder(folder_of(tmp_path, customers=customers), NORTHWIND)
    assert refusals(plan) == [
        ("customers.csv", 2, "wrong_number_of_fields"),
        ("order-details.csv", 2, "unknown_reference"),
        ("orders.csv", 2, "unknown_reference"),
    ]
    assert all(one.remedy for one in plan.refused)
    assert "11 fields, expected 10" in plan.refused[0].message


@pytest.mark.parametrize(
    ("bad_line", "reason"),
    [
        ("1,8,twelve,1,0\n", "unknown_reference"),
        ("1,7,twelve,1,0\n", "not_a_number"),
        ("1,7,1e3,1,0\n", "not_a_number"),
        ("1,7,NaN,1,0\n", "not_a_number"),
        ("1,7,1.00,,0\n", "missing_value"),
        ("1,7,1,00,1,0\n", "wrong_number_of_fields"),
    ],
)
def test_an_order_with_a_bad_line_is_not_loaded_in_part(tmp_path: Path, bad_line: str, reason: str) -> None:
    products = "7,Chai,10 boxes,18.00\n9,Tofu,1 box,2.00\n"
    plan = plan_folder(folder_of(tmp_path, details="1,9,2.00,1,0\n" + bad_line, products=products), NORTHWIND)
    assert (plan.planned[3], plan.planned[4]) == ((), ())
    assert refusals(plan) == [
        ("order-details.csv", 2, "incomplete"),
        ("order-details.csv", 3, reason),
        ("orders.csv", 2, "incomplete"),
    ]


def test_an_order_without_lines_is_refused(tmp_path: Path) -> None:
    plan = plan_folder(folder_of(tmp_path, details=""), NORTHWIND)
    assert refusals(plan) == [("orders.csv", 2, "incomplete")]


def test_a_second_row_with_the_same_key_is_refused(tmp_path: Path) -> None:
    plan = plan_folder(folder_of(tmp_path, customers=GOOD_CUSTOMER + GOOD_CUSTOMER), NORTHWIND)
    assert refusals(plan) == [("customers.csv", 3, "duplicate_key")]


def test_a_date_that_is_none_is_refused(tmp_path: Path) -> None:
    plan = plan_folder(folder_of(tmp_path, orders=ORDERS.replace("1996-07-04", "1996-02-30")), NORTHWIND)
    assert ("orders.csv", 2, "not_a_date") in refusals(plan)


def test_a_missing_file_and_a_missing_column_are_faults_of_the_folder(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "products.csv").write_text("productID,productName\n7,Chai\n")
    with pytest.raises(ConfigurationFault, match=r"products.csv:1: no column"):
        plan_folder(folder, NORTHWIND)
    (folder / "products.csv").unlink()
    with pytest.raises(ConfigurationFault, match=r"products\.csv: not in the folder"):
        plan_folder(folder, NORTHWIND)


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "customers.csv").write_bytes(CUSTOMERS.encode() + GOOD_CUSTOMER.replace("Ulm", "Köln").encode("cp1252"))
    with pytest.raises(ConfigurationFault, match=r"customers\.csv: not utf-8"):
        plan_folder(folder, NORTHWIND)


def test_an_unknown_profile_and_an_unknown_key_say_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault, match="there are: maven, northwind"):
        load_profile(PROJECT / "include" / "csv" / "sales.yaml")
    (tmp_path / "bad.yaml").write_text(
        "name: bad\nsteps: [{file: a.csv, object: A, key: k, fields: {N: {colum: a}}}]\n"
    )
    with pytest.raises(ConfigurationFault, match=r"bad.yaml: steps.0.fields.N"):
        load_profile(tmp_path / "bad.yaml")


@pytest.mark.shared
def test_the_northwind_folder_gives_what_the_independent_arithmetic_gives() -> None:
    folder = require_shared("data", "northwind")
    plan, books = plan_folder(folder, NORTHWIND), expected_northwind(folder)
    assert {(one.file, one.line) for one in plan.refused} == {(file, line) for file, line, _ in books.broken}
    orders = {one.record.fields["OrderReferenceNumber"] for one in plan.planned[3]}
    assert orders == set(books.orders)
    for name, rows in plan.rows.items():
        good = {one.line for step in plan.planned for one in step if one.file == name}
        assert rows == len(good) + sum(1 for one in plan.refused if one.file == name)


@pytest.mark.shared
def test_the_maven_folder_keeps_products_as_they_are_written() -> None:
    folder = require_shared("data", "maven_crm")
    plan, books = plan_folder(folder, MAVEN), expected_maven(folder)
    assert plan.refused == ()
    deals = [one.record.fields for one in plan.planned[3]]
    won = [deal for deal in deals if deal["StageName"] == "Closed Won"]
    assert sum(deal["Amount"] for deal in won) == books.total_with_account + books.total_alias
    assert Counter(deal["Product_Code__c"] for deal in won)["GTXPro"] == books.alias_products["GTXPro"]
    assert sum(1 for deal in deals if deal["AccountId"] is None) == books.open_without_account
