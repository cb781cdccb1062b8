"""The report of a fiscal period while the store fills: 24 months, each staged and then reported.

    python -m bench.period_report [--documents 1000] [--periods 24]

Each month has so many orders of two lines, their invoices and payments, linked by the crosswalk. The embedded server
with ordinary durability. The ratio is the last period's report against the first one's, which an aim of 2 allows to
grow by what is looked for in larger tables.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from bench.row import Row
from tieout.mapping.load import load_link, load_system
from tieout.model.calendar import Period, parse
from tieout.model.settings import PROJECT, load_settings
from tieout.scenarios.periods import report
from tieout.scenarios.services import Services, Side
from tieout.store import embedded, migrate, staging
from tieout.store.engine import connect

FIRST = date(2024, 1, 1)
RUN = uuid4()


def services_over(engine: Engine) -> Services:
    """The link `demo` without systems: nothing here asks one."""
    settings = load_settings()
    link = load_link(settings.include / "links" / "demo.yaml")
    sides = [
        Side(name, system, None, load_system(settings.include / "mappings", system), "https://crm.example")  # type: ignore[arg-type]
        for name, system in ((link.crm, link.crm_system), (link.ledger, link.ledger_system))
    ]
    return Services(replace(settings, project=PROJECT), engine, link, sides[0], sides[1], "bench")


def stage_month(services: Services, period: Period, documents: int) -> None:
    """Orders, what they show, lines, invoices, payments and their links."""
    ids = [f"{period.label}-{number:06}" for number in range(documents)]
    days = [period.first + timedelta(days=number % period.days) for number in range(documents)]
    both = list(zip(ids, days, strict=True))
    stamp = "2026-03-01T00:00:00.000+0000"

    def put(side: Side, entity: str, records: Iterator[dict[str, Any]]) -> None:
        declared = side.mappings[entity].staged_entity()
        with services.engine.begin() as conn:
            staging.ensure(conn, declared)
        staging.stage(services.engine, declared, side.name, [list(records)], RUN)

    put(services.crm, "account", ({"Id": f"001{one}", "Name": f"Customer {one}", "SystemModstamp": stamp,
                                   "CurrencyIsoCode": "GBP"} for one in ids[: documents // 10]))  # fmt: skip
    accounts = [f"001{ids[number % max(1, documents // 10)]}" for number in range(documents)]
    orders = [
        {"Id": f"801{one}", "OrderNumber": one, "AccountId": account, "Status": "Activated",
         "EffectiveDate": day.isoformat(), "CurrencyIsoCode": "GBP", "SystemModstamp": stamp,
         "Tieout_Invoice_Id__c": _guid(one), "Tieout_Invoice_Number__c": f"INV-{one}",
         "Tieout_Invoice_Status__c": "PAID", "Tieout_Invoice_Total__c": 120, "Tieout_Amount_Due__c": 0,
         "Tieout_Amount_Paid__c": 120, "Tieout_Paid_On__c": day.isoformat()}
        for (one, day), account in zip(both, accounts, strict=True)
    ]  # fmt: skip
    put(services.crm, "order", iter(orders))
    put(services.crm, "order_status", iter(orders))
    put(services.crm, "order_line", (
        {"Id": f"802{one}-{line}", "OrderId": f"801{one}", "OrderItemNumber": str(line), "Quantity": 1,
         "UnitPrice": 60, "SystemModstamp": stamp} for one in ids for line in (1, 2)))  # fmt: skip
    updated = "/Date(1772323200000+0000)/"
    put(services.ledger, "invoice", (
        {"InvoiceID": _guid(one), "Type": "ACCREC", "InvoiceNumber": f"INV-{one}", "Status": "PAID",
         "Contact": {"ContactID": _guid(account)}, "Date": f"{day.isoformat()}T00:00:00", "CurrencyCode": "GBP",
         "CurrencyRate": 1, "SubTotal": 120, "TotalTax": 0, "Total": 120, "AmountDue": 0, "AmountPaid": 120,
         "AmountCredited": 0, "FullyPaidOnDate": f"{day.isoformat()}T00:00:00", "UpdatedDateUTC": updated,
         "Url": services.crm.record_url(f"801{one}"), "LineItems": []}
        for (one, day), account in zip(both, accounts, strict=True)))  # fmt: skip
    put(services.ledger, "payment", (
        {"PaymentID": _guid("p" + one), "PaymentType": "ACCRECPAYMENT", "Status": "AUTHORISED", "Amount": 120,
         "Invoice": {"InvoiceID": _guid(one), "CurrencyCode": "GBP"}, "Date": f"{day.isoformat()}T00:00:00",
         "CurrencyRate": 1, "UpdatedDateUTC": updated} for one, day in both))  # fmt: skip
    put(services.ledger, "account", ({"ContactID": _guid(f"001{one}"), "Name": f"Customer {one}",
                                      "UpdatedDateUTC": updated} for one in ids[: documents // 10]))  # fmt: skip
    links = [("invoice", _guid(one), "Order", f"801{one}") for one in ids]
    links += [("account", _guid(one), "Account", one) for one in dict.fromkeys(accounts)]
    with services.engine.begin() as conn:
        conn.execute(
            sa.text(
                "insert into tieout.crosswalk (link, target, entity, vendor_id, doc_uid, source, source_object, "
                "source_id, origin) values (:link, :target, :entity, :vendor, :vendor, :source, :object, :id, "
                "'created')"
            ),
            [{"link": services.link.name, "target": services.ledger.name, "entity": entity, "vendor": vendor,
              "source": services.crm.name, "object": object_, "id": id_} for entity, vendor, object_, id_ in links],
        )  # fmt: skip


def _guid(text: str) -> str:
    import uuid

    return str(uuid.uuid5(uuid.NAMESPACE_OID, text))


def measure(documents: int, periods: int) -> list[float]:
    """Seconds of each period's report, made when the store has the periods up to it."""
    calendar = parse("months", {"kind": "months"})
    place = Path(tempfile.mkdtemp(prefix="tieout-bench-"))
    place.chmod(0o777)
    server = embedded.start(place)
    server.create_database("bench")
    took: list[float] = []
    try:
        engine = connect(server.url_for("bench"))
        migrate.upgrade(engine)
        services = services_over(engine)
        for period in calendar.between(FIRST, date(2030, 1, 1))[:periods]:
            stage_month(services, period, documents)
            began = time.perf_counter()
            made = report.make(services, period, RUN)
            took.append(time.perf_counter() - began)
            figures = {one["area"]: (one["a_amount"], one["b_amount"]) for one in made["totals"]}
            assert figures["invoices"] == (documents * 12000,) * 2, made
            print(f"{period.label}: {took[-1]:.2f} s, {made['state']}", flush=True)
        engine.dispose()
    finally:
        embedded.stop(place)
        shutil.rmtree(place, ignore_errors=True)
    return took


def run(quick: bool) -> Sequence[Row]:
    """The rows of the table."""
    documents, periods = (100, 6) if quick else (1000, 24)
    took = measure(documents, periods)
    first, last = statistics.median(took[:3]), statistics.median(took[-3:])
    return [
        Row(
            f"report of period {periods} of {periods}, {documents:,} orders a period", f"{last:.2f} s",
            f"of the first ones {first:.2f} s", last / first, "at most 2 times the first", most=2.0,
        )
    ]  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--periods", type=int, default=24)
    given = parser.parse_args()
    measure(given.documents, given.periods)
