"""Northwind month by month, without Airflow: the same books as the CSV files and an hourly run.

The same through Airflow, in a 4-4-5 calendar and killed for real, is in tests/e2e/test_periods_in_airflow.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.proofs.company import Company, Loaded, company_of, load_company
from tests.proofs.northwind_arithmetic import Expected, expected_northwind, order_days
from tests.support.postgres import PostgresServer
from tests.support.shared import require_shared
from tieout.model.calendar import Period
from tieout.model.link import Periods
from tieout.scenarios import fiscal_period, quote_to_cash
from tieout.scenarios.periods.calendar import calendar_of

pytestmark = [
    pytest.mark.long,
    pytest.mark.shared,
    pytest.mark.proves(
        "24 months come to the CSV files and to the books of the hourly run, two of them cut off",
        scenario="backfill",
        pair=("salesforce", "xero"),
    ),
]
FIRST, LAST = date(1996, 7, 1), date(1998, 6, 30)


class Killed(BaseException):
    """The process ended here."""


@contextmanager
def ended_after(monkeypatch: pytest.MonkeyPatch, step: str) -> Iterator[None]:
    """The run ends when the plan is committed and nothing of it was delivered yet."""
    with monkeypatch.context() as broken:
        broken.setattr(fiscal_period.quote_to_cash, step, _end)
        with pytest.raises(Killed):
            yield


def _end(*_: Any) -> None:
    raise Killed


def by_months(loaded: Loaded) -> Loaded:
    changed = {"calendar": "calendar_months", "periods": Periods(approval="never")}
    return replace(loaded, link=loaded.link.model_copy(update=changed))


def periods_of(company: Company) -> tuple[Period, ...]:
    with company.services() as services:
        calendar = calendar_of(services)
    begin = calendar.period_of(FIRST)
    return calendar.between(begin.first, LAST)


@pytest.mark.timeout(1200)
def test_24_months_come_to_the_csv_files_and_to_the_hourly_run(
    database_url: str, postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = require_shared("data", "northwind")
    expected: Expected = expected_northwind(folder)
    days = order_days(folder, expected)
    loaded = load_company(folder, "northwind", tmp_path / "loaded")
    with company_of(by_months(loaded), database_url, tmp_path / "by_period") as company:
        periods = periods_of(company)
        assert len(periods) == 24
        totals: dict[str, Decimal] = {}
        for place, period in enumerate(periods):
            if place in (3, 11):
                with company.services() as services, ended_after(monkeypatch, "deliver_and_settle"):
                    fiscal_period.run(services, period.label)
            with company.services() as services:
                numbers = fiscal_period.run(services, period.label)
            # What the run before committed is on its way already: it is no line of the next plan.
            made = sum(numbers["amounts"].get("USD", {}).values())
            if place in (3, 11):
                assert (numbers["applied"], numbers["in_flight"] > 0) == (0, True)
                continue
            totals[period.label] = Decimal(made) / 100
            within = [order for order, day in days.items() if period.first <= day <= period.last]
            assert totals[period.label] == sum((expected.orders[order] for order in within), Decimal(0)), period
        books = company.books()
        books.assert_no_duplicates()
        assert {one["Reference"]: one["SubTotal"] for one in books.invoices} == expected.orders
        assert books.total == expected.total
        # Again, and the hourly run beside it: nothing is posted.
        company.counting()
        for period in reversed(periods):
            with company.services() as services:
                assert fiscal_period.run(services, period.label)["lines"] == {}
        with company.services() as services:
            hourly = quote_to_cash.run(services)
        assert (hourly["posted"], hourly["unchanged"]) == (0, len(expected.orders))
        assert company.counted()[0] == 0
        assert company.books().essence() == books.essence()
    with company_of(loaded, postgres_server.migrated_database(), tmp_path / "hourly") as company:
        company.run()
        assert company.books().essence() == books.essence()
