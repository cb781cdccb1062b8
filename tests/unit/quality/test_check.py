"""Staged rows against the real suites and the real mappings, in PostgreSQL: what is stopped, and what comes free."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tieout.mapping.load import load_system
from tieout.model.errors import ConfigurationFault, Retriable, SuiteStopped
from tieout.model.settings import PROJECT
from tieout.model.staged import StagedEntity
from tieout.quality import check, docs
from tieout.store import dead_letters, staging, watermarks
from tieout.store.engine import connect

BOOK = check.Book(
    checked_version=watermarks.checked_version,
    advance_checked=watermarks.advance_checked,
    open_keys=dead_letters.open_keys,
    record=dead_letters.record,
    close_passed=dead_letters.close_passed,
)
RUN = uuid4()
NOW = "2026-03-01T10:00:00.000+0000"


def entities(system: str) -> dict[str, StagedEntity]:
    mappings = load_system(PROJECT / "include" / "mappings", system)
    return {name: mapping.staged_entity() for name, mapping in mappings.items() if mapping.staged}


SALESFORCE, XERO = entities("salesforce"), entities("xero")


def suite(entity: StagedEntity) -> Path:
    return PROJECT / "expectations" / entity.system / f"{entity.entity}.json"


@pytest.fixture
def staged(engine: Engine) -> Engine:
    with engine.begin() as conn:
        for entity in (*SALESFORCE.values(), *XERO.values()):
            staging.ensure(conn, entity)
    return engine


def put(engine: Engine, name: str, *records: dict[str, object], of: dict[str, StagedEntity] = SALESFORCE) -> None:
    staging.stage(engine, of[name], "crm", [records], RUN)


def run(engine: Engine, name: str, of: dict[str, StagedEntity] = SALESFORCE) -> check.CheckCounts:
    counts = check.check_entity(engine, of[name], "crm", suite(of[name]), RUN, BOOK)
    assert counts.checked == counts.passed + counts.quarantined
    return counts


def letters(engine: Engine) -> set[tuple[str, str]]:
    with engine.connect() as conn:
        return {(x.source_id, x.reason) for x in dead_letters.listing(conn)}


def account(**more: object) -> dict[str, object]:
    return {"Id": "A1", "Name": "Blauer See", "CurrencyIsoCode": "EUR", "SystemModstamp": NOW} | more


def order(number: int = 1, **more: object) -> dict[str, object]:
    return {
        "Id": f"O{number}", "OrderNumber": f"{number:08d}", "AccountId": "A1", "Status": "Activated",
        "EffectiveDate": "2026-03-01", "CurrencyIsoCode": "EUR", "TotalAmount": Decimal("30.00"),
        "SystemModstamp": NOW,
    } | more  # fmt: skip


def line(number: int = 1, parent: str = "O1", **more: object) -> dict[str, object]:
    return {
        "Id": f"L{number}", "OrderId": parent, "Quantity": Decimal(3), "UnitPrice": Decimal("10.00"),
        "SystemModstamp": NOW,
    } | more  # fmt: skip


BAD_ORDERS: list[tuple[dict[str, object], str]] = [
    ({"AccountId": None}, "customer_missing"),
    ({"AccountId": "A9"}, "customer_not_found"),
    ({"EffectiveDate": None}, "date_missing"),
    ({"EffectiveDate": "0026-03-01"}, "date_unlikely"),
    ({"Freight__c": "twelve pounds"}, "unreadable_value"),
    ({"Freight__c": Decimal("-12.50")}, "freight_negative"),
    ({"TotalAmount": Decimal("1.00")}, "total_is_not_the_sum_of_lines"),
    ({"CurrencyIsoCode": "XYZ"}, "no_such_currency"),
    ({"CurrencyIsoCode": None}, "currency_missing"),
    ({"OrderNumber": None}, "order_number_missing"),
    ({"OrderNumber": "00000099"}, "order_number_taken"),
    ({"Exchange_Rate__c": 0}, "exchange_rate_not_positive"),
    ({"SystemModstamp": "2999-01-01T00:00:00Z"}, "modified_in_the_future"),
    ({"OrderNumber": "a\x00b"}, "unreadable_value"),
]
BAD_LINES: list[tuple[dict[str, object], str]] = [
    ({"Quantity": "a dozen"}, "unreadable_value"),
    ({"Quantity": -3}, "quantity_not_positive"),
    ({"Quantity": 0}, "quantity_not_positive"),
    ({"UnitPrice": None}, "price_missing"),
    ({"UnitPrice": Decimal("-0.01")}, "price_negative"),
    ({"Discount_Percent__c": 120}, "discount_out_of_range"),
]


def test_bad_orders_are_quarantined_each_with_its_reason(staged: Engine) -> None:
    put(staged, "account", account())
    put(staged, "order", order(99))
    put(staged, "order_line", line(99, "O99"), *(line(n, f"O{n}") for n in range(len(BAD_ORDERS))))
    run(staged, "order")
    put(staged, "order", *(order(n, **more) for n, (more, _) in enumerate(BAD_ORDERS)))
    assert run(staged, "order").quarantined == len(BAD_ORDERS)
    assert letters(staged) == {(f"O{n}", reason) for n, (_, reason) in enumerate(BAD_ORDERS)}
    with staged.connect() as conn:
        for letter in dead_letters.listing(conn):
            assert letter.stage == "check"
            assert all(len(text) > 10 for text in (letter.message, letter.remedy)), letter
            assert letter.found


def test_bad_lines_are_quarantined_each_with_its_reason(staged: Engine) -> None:
    put(staged, "order", order())
    put(staged, "order_line", line(99), *(line(n, **more) for n, (more, _) in enumerate(BAD_LINES)))
    counts = run(staged, "order_line")
    assert (counts.checked, counts.passed, counts.quarantined) == (len(BAD_LINES) + 1, 1, len(BAD_LINES))
    assert letters(staged) == {(f"L{n}", reason) for n, (_, reason) in enumerate(BAD_LINES)}


def test_a_clean_batch_passes_and_is_not_checked_again(staged: Engine) -> None:
    put(staged, "account", account())
    put(staged, "order_line", line())
    put(staged, "order", order())
    assert run(staged, "order").passed == 1
    assert run(staged, "order") == check.CheckCounts()
    assert letters(staged) == set()


def test_a_mended_row_closes_its_letters(staged: Engine) -> None:
    put(staged, "account", account())
    put(staged, "order", order(Freight__c=-1, EffectiveDate=None))
    run(staged, "order")
    assert letters(staged) == {("O1", "freight_negative"), ("O1", "date_missing")}
    put(staged, "order", order(EffectiveDate=None))
    assert run(staged, "order").closed == 1
    assert letters(staged) == {("O1", "date_missing")}
    put(staged, "order", order())
    assert run(staged, "order").closed == 1
    assert letters(staged) == set()


def test_a_line_that_is_mended_frees_its_order(staged: Engine) -> None:
    put(staged, "account", account())
    put(staged, "order", order())
    put(staged, "order_line", line(Quantity=2))
    run(staged, "order")
    assert letters(staged) == {("O1", "total_is_not_the_sum_of_lines")}
    put(staged, "order_line", line(Quantity=3))
    counts = run(staged, "order")
    assert (counts.checked, counts.closed) == (1, 1)
    assert letters(staged) == set()


def test_an_account_that_arrives_later_frees_its_order(staged: Engine) -> None:
    put(staged, "order", order())
    run(staged, "order")
    assert letters(staged) == {("O1", "customer_not_found")}
    put(staged, "account", account())
    assert run(staged, "order").closed == 1


@pytest.mark.parametrize("how", ["renamed", "deleted"])
def test_an_order_that_gives_its_number_away_frees_the_other_one(staged: Engine, how: str) -> None:
    put(staged, "account", account())
    put(staged, "order", order(1), order(2, OrderNumber="00000001"))
    assert run(staged, "order").quarantined == 2
    if how == "renamed":
        put(staged, "order", order(2, SystemModstamp="2026-03-01T11:00:00.000+0000"))
    else:
        staging.mark_deleted(staged, SALESFORCE["order"], "crm", [["O2"]], RUN)
    counts = run(staged, "order")
    assert (counts.passed, counts.quarantined, letters(staged)) == (2 if how == "renamed" else 1, 0, set())


def test_a_deleted_row_closes_its_letters(staged: Engine) -> None:
    put(staged, "account", account(Name=None))
    assert run(staged, "account").quarantined == 1
    staging.mark_deleted(staged, SALESFORCE["account"], "crm", [["A1"]], RUN)
    assert run(staged, "account").checked == 0
    assert letters(staged) == set()


def test_a_replayed_row_is_checked_again(staged: Engine) -> None:
    put(staged, "account", account(Name=None))
    run(staged, "account")
    with staged.begin() as conn:
        dead_letters.replay(conn, [dead_letters.listing(conn)[0].dead_letter_id], "ann")
    assert run(staged, "account").quarantined == 1
    assert letters(staged) == {("A1", "name_missing")}


def test_warnings_do_not_stop_a_row(staged: Engine) -> None:
    put(staged, "account", account(Name="=SUM(A1)"), account(Id="A2", Name="x" * 200))
    counts = run(staged, "account")
    assert (counts.passed, counts.warned) == (2, 2)
    assert counts.result is not None
    assert {f.reason for f in counts.result.failures} == {"name_looks_like_formula", "name_long"}
    assert letters(staged) == set()


def test_hard_names_pass_or_are_stopped(staged: Engine) -> None:
    names = {"A1": "مزرعة 🚜", "A2": "N" * 300, "A3": "\u00a0 ", "A4": None, "A5": "O'Brien & Söhne; %s :x {batch} <b>"}
    put(staged, "account", *(account(Id=key, Name=name) for key, name in names.items()))
    assert run(staged, "account").quarantined == 3
    assert letters(staged) == {("A2", "name_too_long"), ("A3", "name_blank"), ("A4", "name_missing")}


def test_a_batch_whose_currencies_are_gone_stops_the_run_and_is_checked_again(staged: Engine) -> None:
    put(staged, "account", account())
    put(staged, "order", *(order(n, CurrencyIsoCode=None) for n in range(1, 41)))
    with pytest.raises(SuiteStopped, match=r"crm/order: .*currency_not_readable.* found rows = 40, with_currency = 0"):
        run(staged, "order")
    with staged.connect() as conn:
        assert watermarks.checked_version(conn, "crm", "order") == 0
    put(staged, "order", *(order(n) for n in range(1, 41)))
    assert run(staged, "order").passed == 40
    assert letters(staged) == set()


def test_hundreds_of_bad_rows_are_named_one_by_one(staged: Engine) -> None:
    put(staged, "account", account())
    put(staged, "order_line", *(line(n, f"O{n}", Quantity=-1) for n in range(1, 301)))
    put(staged, "order", *(order(n) for n in range(1, 301)))
    assert run(staged, "order_line").quarantined == 300
    assert run(staged, "order").quarantined == 300, "and so beyond what Great Expectations lists"


def test_amounts_of_an_invoice_that_do_not_close(staged: Engine) -> None:
    good = {
        "InvoiceID": "I1", "Type": "ACCREC", "Status": "PAID", "CurrencyCode": "EUR", "SubTotal": Decimal(10),
        "TotalTax": Decimal(2), "Total": Decimal(12), "AmountDue": 0, "AmountPaid": Decimal(12), "AmountCredited": 0,
        "UpdatedDateUTC": "/Date(1518685950940+0000)/",
    }  # fmt: skip
    bad = [{"InvoiceID": "I2", "AmountPaid": Decimal(11)}, {"InvoiceID": "I3", "Status": "NEW"}]
    bad.append({"InvoiceID": "I4", "TotalTax": Decimal(3)})
    put(staged, "invoice", good, *(good | more for more in bad), of=XERO)
    assert run(staged, "invoice", XERO).quarantined == 3
    assert letters(staged) == {
        ("I2", "amounts_do_not_close"), ("I3", "status_unknown"), ("I4", "total_is_not_net_and_tax"),
    }  # fmt: skip


RECORDS: dict[str, dict[str, object]] = {
    "contact": {"LastName": "X"}, "product": {"Name": "P", "ProductCode": "p", "IsActive": True},
    "price": {"Product2Id": "P", "UnitPrice": 1, "CurrencyIsoCode": "EUR"},
    "quote": {"Status": "Accepted", "CurrencyIsoCode": "EUR"},
    "quote_line": {"QuoteId": "Q", "Quantity": 1, "UnitPrice": 1},
    "opportunity": {"Name": "O", "StageName": "Won", "CloseDate": "2026-01-01", "CurrencyIsoCode": "EUR", "Amount": 5},
    "opportunity_line": {"OpportunityId": "Q", "Quantity": 1, "UnitPrice": 1},
    "exchange_rate": {"IsoCode": "USD", "ConversionRate": Decimal("1.1"), "StartDate": "2026-01-01"},
}  # fmt: skip
XERO_RECORDS: dict[str, dict[str, object]] = {
    "account": {"ContactID": "1", "Name": "N", "ContactStatus": "ACTIVE"},
    "product": {"ItemID": "1", "Code": "c"},
    "payment": {"PaymentID": "1", "Amount": 5, "Date": "/Date(1518685950940)/", "Status": "AUTHORISED"},
    "credit_memo": {"CreditNoteID": "1", "Type": "ACCRECCREDIT", "Status": "AUTHORISED", "CurrencyCode": "EUR"},
    "tax_rate": {"TaxType": "OUTPUT2", "EffectiveRate": 20, "Status": "ACTIVE"},
}


def test_every_other_suite_runs_on_its_columns(staged: Engine) -> None:
    for name, record in RECORDS.items():
        put(staged, name, {"Id": "X", "SystemModstamp": NOW} | record)
        assert run(staged, name).passed == 1, name
    for name, record in XERO_RECORDS.items():
        put(staged, name, record, of=XERO)
        assert run(staged, name, XERO).passed == 1, name


def test_nothing_is_left_behind(staged: Engine) -> None:
    with staged.begin() as conn:
        conn.execute(sa.text(f"create table staging.check_{'0' * 32} (a int)"))
    put(staged, "account", account())
    run(staged, "account")
    with staged.connect() as conn:
        left = conn.execute(sa.text("select count(*) from pg_tables where tablename like 'check\\_%'")).scalar_one()
    assert left == 0


def test_the_pages_hold_no_script_and_no_markup_of_ours(staged: Engine, tmp_path: Path) -> None:
    put(staged, "account", account(Name="=<script>alert(1)</script><img src=x onerror=alert(2)> $name"))
    result = run(staged, "account").result
    assert result is not None
    index = docs.render({"salesforce_account": result}, tmp_path / "run")
    assert index is not None
    page = (tmp_path / "run" / "salesforce_account.html").read_text()
    assert "&lt;script&gt;alert(1)" in page
    for forbidden in ("<script", "<img", "<link", "<iframe", 'http-equiv="refresh'):
        assert forbidden not in page
    assert "default-src 'none'" in page
    assert 'href="salesforce_account.html"' in index.read_text()
    assert docs.render({}, tmp_path / "none") is None


def test_a_suite_that_names_an_unknown_column_is_a_fault_of_ours(staged: Engine, tmp_path: Path) -> None:
    path = tmp_path / "salesforce" / "account.json"
    path.parent.mkdir()
    path.write_text(suite(SALESFORCE["account"]).read_text().replace('"column": "name"', '"column": "nome"'))
    put(staged, "account", account())
    with pytest.raises(ConfigurationFault, match=r"account\.json: .*cannot be evaluated: .*nome"):
        check.check_entity(staged, SALESFORCE["account"], "crm", path, RUN, BOOK)


def test_a_database_that_is_gone_is_no_fault_of_the_suite(staged: Engine) -> None:
    put(staged, "account", account())
    dead = connect("postgresql+psycopg://nobody@127.0.0.1:1/x")
    with pytest.raises(Retriable, match="not reachable"):
        check.check_entity(dead, SALESFORCE["account"], "crm", suite(SALESFORCE["account"]), RUN, BOOK)
