"""What queries find, in which order, and how their answers look."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from sandbox.salesforce.soql.dates import span
from tests.sandbox_salesforce.conftest import ROOT, Api, Shop


def seed_accounts(api: Api) -> None:
    raw = [
        {"Name": "Alpha", "NumberOfEmployees": 5, "AnnualRevenue": 100, "Site": "x", "Industry": "Energy"},
        {"Name": "beta", "NumberOfEmployees": 50, "AnnualRevenue": 100.5, "Site": None, "Industry": "Banking"},
        {"Name": "Gamma_1", "NumberOfEmployees": None, "AnnualRevenue": None, "Site": "y", "Industry": "Energy"},
        {"Name": "GammaX1", "NumberOfEmployees": 7, "AnnualRevenue": 7, "Site": "z"},
    ]
    api.door("raw/Account", {"records": raw})


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("Name = 'BETA'", ["beta"]),
        ("Name != 'beta'", ["Alpha", "Gamma_1", "GammaX1"]),
        ("Name LIKE 'gamma%'", ["Gamma_1", "GammaX1"]),
        ("Name LIKE 'gamma_1'", ["Gamma_1", "GammaX1"]),
        (r"Name LIKE 'gamma\_1'", ["Gamma_1"]),
        ("NumberOfEmployees > 5", ["beta", "GammaX1"]),
        ("NumberOfEmployees <= 7", ["Alpha", "GammaX1"]),
        ("NumberOfEmployees = null", ["Gamma_1"]),
        ("NumberOfEmployees != null AND AnnualRevenue = 100.50", ["beta"]),
        ("Name IN ('alpha', 'beta')", ["Alpha", "beta"]),
        ("Name NOT IN ('alpha', 'beta')", ["Gamma_1", "GammaX1"]),
        ("NOT (Name = 'alpha' OR Name = 'beta')", ["Gamma_1", "GammaX1"]),
        ("(Site = 'x' OR Site = 'y') AND Name > 'b'", ["Gamma_1"]),
        ("CreatedDate = TODAY", ["Alpha", "beta", "Gamma_1", "GammaX1"]),
        ("CreatedDate < LAST_N_DAYS:3", []),
        ("SystemModstamp >= 2020-01-01T00:00:00Z AND IsDeleted = false AND Site = null", ["beta"]),
    ],
)
def test_where(api: Api, where: str, names: list[str]) -> None:
    seed_accounts(api)
    assert api.column(f"SELECT Name FROM Account WHERE {where} ORDER BY Name") == names


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("NumberOfEmployees", ["Gamma_1", "Alpha", "GammaX1", "beta"]),
        ("NumberOfEmployees DESC", ["Gamma_1", "beta", "GammaX1", "Alpha"]),
        ("NumberOfEmployees ASC NULLS LAST", ["Alpha", "GammaX1", "beta", "Gamma_1"]),
        ("NumberOfEmployees DESC NULLS LAST", ["beta", "GammaX1", "Alpha", "Gamma_1"]),
        ("Industry DESC NULLS LAST, Name DESC", ["Gamma_1", "Alpha", "beta", "GammaX1"]),
    ],
)
def test_order(api: Api, order: str, names: list[str]) -> None:
    seed_accounts(api)
    assert api.column(f"SELECT Name FROM Account ORDER BY {order}") == names


def test_limit_offset_and_count(api: Api) -> None:
    seed_accounts(api)
    assert api.column("SELECT Name FROM Account ORDER BY Name LIMIT 2 OFFSET 1") == ["beta", "Gamma_1"]
    answer = api.answer("SELECT COUNT() FROM Account WHERE Industry = 'Energy'")
    assert answer == {"totalSize": 2, "done": True, "records": []}


def test_groups(api: Api) -> None:
    seed_accounts(api)
    text = "SELECT Industry, COUNT(Id) n, SUM(AnnualRevenue), MAX(Name) FROM Account GROUP BY Industry"
    head = {"attributes": {"type": "AggregateResult"}}
    assert api.answer(text)["records"] == [
        {**head, "Industry": "Energy", "n": 2, "expr0": Decimal("100.0"), "expr1": "Gamma_1"},
        {**head, "Industry": "Banking", "n": 1, "expr0": Decimal("100.5"), "expr1": "beta"},
        {**head, "Industry": None, "n": 1, "expr0": Decimal("7.0"), "expr1": "GammaX1"},
    ]
    ordered = "SELECT Industry, COUNT(Id) n FROM Account GROUP BY Industry ORDER BY Industry DESC NULLS LAST"
    assert api.column(ordered) == ["Energy", "Banking", None]
    assert api.query("SELECT SUM(AnnualRevenue) s FROM Account WHERE Name = 'none'") == [{"s": None}]


def test_records_have_attributes_parents_and_children(api: Api, shop: Shop) -> None:
    order = shop.order()
    line = shop.line(order, 2, 10)
    other = shop.order()
    records = api.answer(
        "SELECT Id, Account.Name, Account.Owner.Name, (SELECT Quantity FROM OrderItems) FROM Order ORDER BY Id"
    )["records"]
    assert records[0]["attributes"] == {"type": "Order", "url": f"{ROOT}/sobjects/Order/{order}"}
    assert records[0]["Account"]["Name"] == "Acme"
    assert records[0]["Account"]["attributes"]["type"] == "Account"
    assert records[0]["Account"]["Owner"]["Name"] == "Integration"
    assert records[0]["OrderItems"] == {
        "totalSize": 1,
        "done": True,
        "records": [
            {
                "attributes": {"type": "OrderItem", "url": f"{ROOT}/sobjects/OrderItem/{line}"},
                "Quantity": Decimal("2.0"),
            }
        ],
    }
    assert records[1]["Id"] == other and records[1]["OrderItems"] is None


def test_semi_joins(api: Api, shop: Shop) -> None:
    with_line, without = shop.order(), shop.order()
    shop.line(with_line, 5)
    assert api.column("SELECT Id FROM Order WHERE Id IN (SELECT OrderId FROM OrderItem WHERE Quantity > 4)") == [
        with_line
    ]
    assert api.column("SELECT Id FROM Order WHERE Id NOT IN (SELECT OrderId FROM OrderItem)") == [without]


def test_ids_of_15_characters_find_the_same_record(api: Api, shop: Shop) -> None:
    order = shop.order()
    assert api.column(f"SELECT Id FROM Order WHERE Id = '{order[:15]}'") == [order]
    assert api.column(f"SELECT Id FROM Order WHERE AccountId IN ('{shop.account[:15]}')") == [order]


def test_all_fields(api: Api, shop: Shop) -> None:
    record = api.query("SELECT FIELDS(ALL) FROM Account LIMIT 200")[0]
    assert record["Name"] == "Acme" and record["BillingAddress"] is None and "SystemModstamp" in record
    assert api.refusal("GET", "query", params={"q": "SELECT FIELDS(ALL) FROM Account"})[1] == "MALFORMED_QUERY"


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("SELECT Foo FROM Account", "INVALID_FIELD", "No such column 'Foo' on entity 'Account'. If you are attempting"),
        ("SELECT Id FROM Account WHERE Foo__c = 1", "INVALID_FIELD", "Column:30\nNo such column 'Foo__c' on entity"),
        ("SELECT Id FROM Accounts", "INVALID_TYPE", "sObject type 'Accounts' is not supported."),
        ("SELECT Nope.Name FROM Account", "INVALID_FIELD", "Didn't understand relationship 'Nope' in field path."),
        ("SELECT (SELECT Id FROM Nope) FROM Account", "INVALID_TYPE", "Didn't understand relationship 'Nope' in FROM"),
        ("SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD", "field 'Name' must be of type string and should be"),
        (
            "SELECT Id FROM Account WHERE AnnualRevenue = '5'",
            "INVALID_FIELD",
            "must be of type currency and should not",
        ),
        ("SELECT Id FROM Account WHERE CreatedDate > 2026-01-01", "INVALID_FIELD", "must be of type dateTime"),
        ("SELECT Id FROM Account WHERE Id = 'abc'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: abc"),
        ("SELECT Id, Id FROM Account", "INVALID_FIELD", "duplicate field selected: Id"),
        ("SELECT Id FROM Account OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset"),
        ("SELECT Name, COUNT(Id) FROM Account", "MALFORMED_QUERY", "Field must be grouped or aggregated: Name"),
        ("SELECT SUM(Name) FROM Account", "MALFORMED_QUERY", "field Name does not support aggregate operator SUM"),
        ("SELECT Id FROM Account ORDER BY BillingAddress", "MALFORMED_QUERY", "can not be sorted in a query call"),
        ("SELECT Id FROM Account WHERE CreatedDate = SOMEDAY", "MALFORMED_QUERY", "unexpected token: 'SOMEDAY'"),
    ],
)
def test_errors(api: Api, text: str, code: str, part: str) -> None:
    status, found, message = api.refusal("GET", "query", params={"q": text})
    assert (status, found) == (400, code)
    assert part in message


def pages(api: Api, text: str, **headers: str) -> list[list[dict[str, Any]]]:
    found = []
    status, body = api.call("GET", "query", params={"q": text}, headers=headers)
    while True:
        assert status == 200, body
        found.append(body["records"])
        if body["done"]:
            assert "nextRecordsUrl" not in body
            return found
        assert body["nextRecordsUrl"].startswith(f"{ROOT}/query/01g")
        status, body = api.call("GET", body["nextRecordsUrl"])


def test_pages(api: Api) -> None:
    api.door("raw/Account", {"records": [{"Name": f"A{number:05d}"} for number in range(4100)]})
    text = "SELECT Name FROM Account ORDER BY Name"
    assert [len(page) for page in pages(api, text)] == [2000, 2000, 100]
    small = pages(api, text, **{"Sforce-Query-Options": "batchSize=700"})
    assert [len(page) for page in small] == [700] * 5 + [600]
    names = [one["Name"] for page in small for one in page]
    assert names == [f"A{number:05d}" for number in range(4100)]
    tiny = pages(api, text, **{"Sforce-Query-Options": "batchSize=10"})
    assert len(tiny[0]) == 200, "200 is the smallest page"


def test_a_page_shows_the_records_as_they_are_when_it_is_read(api: Api) -> None:
    made = api.door("raw/Account", {"records": [{"Name": f"A{number:05d}", "Site": "old"} for number in range(2003)]})
    _, first = api.call("GET", "query", params={"q": "SELECT Name, Site FROM Account WHERE Site = 'old' ORDER BY Name"})
    assert first["totalSize"] == 2003 and not first["done"]
    api.call("DELETE", f"sobjects/Account/{made['ids'][2000]}")
    api.change("Account", made["ids"][2001], Site="new")
    _, second = api.call("GET", first["nextRecordsUrl"])
    assert [(one["Name"], one["Site"]) for one in second["records"]] == [("A02001", "new"), ("A02002", "old")]
    assert second["totalSize"] == 2003 and second["done"]


def test_a_wrong_locator_is_refused(api: Api) -> None:
    assert api.refusal("GET", "query/01gWs000000009zIAA-2000")[1] == "INVALID_QUERY_LOCATOR"


def test_query_all_shows_what_was_deleted(api: Api) -> None:
    gone = api.create("Account", Name="Gone")
    api.call("DELETE", f"sobjects/Account/{gone}")
    assert api.query("SELECT Id FROM Account") == []
    records = api.answer("SELECT Id, IsDeleted FROM Account", "queryAll")["records"]
    assert [(one["Id"], one["IsDeleted"]) for one in records] == [(gone, True)]


def test_stale_reads_hide_what_changed_just_now(api: Api) -> None:
    api.create("Account", Name="Fresh")
    api.door("raw/Account", {"Name": "Old", "SystemModstamp": "2020-01-01T00:00:00Z"})
    api.plan.load({"rules": [{"fault": "stale_read", "path": "*/query", "times": 1, "params": {"seconds": 60}}]})
    assert api.column("SELECT Name FROM Account") == ["Old"]
    assert sorted(api.column("SELECT Name FROM Account")) == ["Fresh", "Old"]


@pytest.mark.parametrize(
    ("name", "number", "days"),
    [
        ("TODAY", None, (date(2026, 3, 15), date(2026, 3, 16))),
        ("THIS_WEEK", None, (date(2026, 3, 15), date(2026, 3, 22))),
        ("LAST_MONTH", None, (date(2026, 2, 1), date(2026, 3, 1))),
        ("THIS_QUARTER", None, (date(2026, 1, 1), date(2026, 4, 1))),
        ("LAST_QUARTER", None, (date(2025, 10, 1), date(2026, 1, 1))),
        ("NEXT_YEAR", None, (date(2027, 1, 1), date(2028, 1, 1))),
        ("LAST_N_DAYS", 7, (date(2026, 3, 8), date(2026, 3, 16))),
        ("N_DAYS_AGO", 1, (date(2026, 3, 14), date(2026, 3, 15))),
        ("LAST_N_MONTHS", 2, (date(2026, 1, 1), date(2026, 3, 1))),
        ("LAST_N_DAYS", None, None),
        ("SOMEDAY", None, None),
    ],
)
def test_date_literals(name: str, number: int | None, days: tuple[date, date] | None) -> None:
    assert span(name, number, date(2026, 3, 15)) == days  # a Sunday


def test_instants_compare_over_time_zones(api: Api) -> None:
    api.door("raw/Account", {"Name": "A", "SystemModstamp": datetime(2026, 1, 1, 12, tzinfo=UTC).isoformat()})
    assert api.column("SELECT Name FROM Account WHERE SystemModstamp = 2026-01-01T14:00:00+02:00") == ["A"]
    assert api.column("SELECT Name FROM Account WHERE SystemModstamp > 2026-01-01T12:00:00.000Z") == []
