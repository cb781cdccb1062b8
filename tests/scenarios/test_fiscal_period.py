"""A fiscal period of a small company: planned, approved, posted once; what changed since the plan is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from tests.scenarios.format import Given, Step
from tests.scenarios.observe import documents
from tests.scenarios.world import World, services_of
from tests.support.sandbox import SandboxProcess
from tieout.model.errors import ConfigurationFault
from tieout.model.link import ApprovalOver, Over, Periods
from tieout.reconcile import period_report
from tieout.scenarios import fiscal_period, quote_to_cash, steps
from tieout.scenarios.fiscal_period import WaitsForApproval
from tieout.scenarios.services import Services
from tieout.store import period_plans
from tieout.store.period_plans import NotAllowed, Plan

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proves(
        "a period is planned, approved and posted once; what changed since its plan waits",
        scenario="backfill",
        pair=("salesforce", "xero"),
    ),
]
PLACE = {"city": "Leeds", "country": "United Kingdom"}
FREE = Periods(approval="never")


def order(name: str, day: str, chairs: int = 2, account: str = "Acme Ltd", **more: Any) -> dict[str, Any]:
    lines = [{"product": "CHAIR", "quantity": chairs, "price": Decimal("50.00")}]
    return {"order": name, "account": account, "date": day, "lines": lines, **more}


GIVEN: dict[str, Any] = {
    "story": "Orders of three months.", "today": "2026-03-31",
    "crm": {
        "accounts": [{"name": "Acme Ltd", "tax_id": "GB980780684", **PLACE}, {"name": "Bolt Ltd", **PLACE}],
        "orders": [order("J-1", "2026-01-31"), order("F-1", "2026-02-01", 1), order("F-2", "2026-02-28", 4, "Bolt Ltd"),
                   order("M-1", "2026-03-01", 6)],
    },
}  # fmt: skip


class Company:
    """The world, and what an operator does with its periods."""

    def __init__(self, sandbox: SandboxProcess, engine: Engine) -> None:
        self.world, self.engine = World(Given.model_validate(GIVEN), sandbox, engine), engine
        self.world.begin()
        self.settings(FREE)

    def settings(self, periods: Periods, **more: Any) -> None:
        self.world.link = self.world.link.model_copy(update={"periods": periods, **more})

    @contextmanager
    def services(self) -> Iterator[Services]:
        world = self.world
        with services_of(world.link, world._crm, world._ledger, self.engine) as services:
            yield services

    def run(self, label: str, **more: Any) -> dict[str, Any]:
        with self.services() as services:
            return fiscal_period.run(services, label, **more)

    def go_on(self, plan: Plan) -> dict[str, Any]:
        with self.services() as services:
            return fiscal_period.decided(services, str(plan.run_id))

    def happens(self, **step: Any) -> None:
        self.world.happen(Step.model_validate(step))

    def billed(self) -> list[tuple[str, str, str, Decimal]]:
        """Order, kind, status, net of everything in the ledger."""
        return sorted((one["of"], one["kind"], one["status"], one["net"]) for one in documents(self.world))

    def lines(self, plan_id: int) -> list[tuple[str | None, str, int, int, str]]:
        with self.engine.connect() as conn:
            found = period_plans.lines(conn, plan_id)
        return [
            (one.line.source_number, one.line.action, one.line.before_minor, one.line.after_minor, one.state)
            for one in found
        ]

    def rows(self, statement: str) -> list[Any]:
        with self.engine.begin() as conn:
            return list(conn.execute(sa.text(statement)))

    def wait(self, label: str) -> Plan:
        """Plans a period that has to be approved."""
        with pytest.raises(WaitsForApproval) as stopped:
            self.run(label)
        return stopped.value.plan

    def decide(self, plan: Plan, by: str, agreed: bool = True, note: str = "") -> None:
        with self.engine.begin() as conn:
            period_plans.decide(conn, plan.plan_id, by, plan.hash[:12], agreed=agreed, note=note)


@pytest.fixture
def company(sandbox: SandboxProcess, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    for module in (quote_to_cash, steps):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    made = Company(sandbox, engine)
    yield made
    made.world.close()


def number_of(company: Company, name: str) -> str:
    """The CRM's number of an order."""
    id_ = company.world.ids[f"order:{name}"]
    (row,) = (one for one in company.world.crm.rows("Order", ("Id", "OrderNumber")) if one["Id"] == id_)
    return str(row["OrderNumber"])


def test_only_the_periods_orders_are_posted_and_a_second_run_posts_nothing(company: Company) -> None:
    first = company.run("FY2026-P02")
    assert company.billed() == [("F-1", "invoice", "AUTHORISED", Decimal("50.00")),
                                ("F-2", "invoice", "AUTHORISED", Decimal("200.00"))]  # fmt: skip
    assert (first["lines"], first["applied"], first["outcomes"]) == ({"create": 2}, 2, {"posted": 2})
    assert first["amounts"] == {"GBP": {"create": 25000}}
    intents = company.rows("select count(*) as n from tieout.intent")
    second = company.run("FY2026-P02")
    assert (second["lines"], second["unchanged"]) == ({}, 2)
    assert company.rows("select count(*) as n from tieout.intent") == intents
    shown = {row["Tieout_Invoice_Number__c"] for row in company.world.crm.rows("Order", ("Tieout_Invoice_Number__c",))}
    assert shown == {None, f"INV-{number_of(company, 'F-1')}", f"INV-{number_of(company, 'F-2')}"}


def test_the_watermarks_of_documents_do_not_move_and_the_hourly_run_posts_the_rest_once(company: Company) -> None:
    company.run("FY2026-P02")
    marked = {row.entity for row in company.rows("select entity from tieout.watermark where kind = 'extract'")}
    assert not marked & {"order", "order_line", "invoice", "credit_memo", "payment"}
    with company.services() as services:
        numbers = quote_to_cash.run(services)
    assert (numbers["read"], numbers["posted"], numbers["unchanged"]) == (4, 2, 2)
    assert [one[0] for one in company.billed()] == ["F-1", "F-2", "J-1", "M-1"]
    for label in ("FY2026-P01", "FY2026-P02", "FY2026-P03"):
        assert company.run(label)["lines"] == {}
    assert len(company.billed()) == 4


def test_nothing_at_all_is_written_before_a_plan_is_approved(company: Company) -> None:
    company.settings(Periods())
    plan = company.wait("FY2026-P02")
    assert (plan.state, plan.needs_approval, plan.new_customers) == ("planned", True, 2)
    for table in ("intent", "crosswalk", "document"):
        assert company.rows(f"select count(*) as n from tieout.{table}")[0].n == 0
    with pytest.raises(WaitsForApproval):
        company.go_on(plan)
    assert company.billed() == []
    company.decide(plan, "Anna")
    numbers = company.go_on(plan)
    assert (numbers["applied"], numbers["decided_by"], numbers["state"]) == (2, "Anna", "applied")
    assert len(company.billed()) == 2


def test_the_database_refuses_what_the_code_would_not_do(company: Company) -> None:
    company.settings(Periods(approvers=("Anna",)))
    plan = company.wait("FY2026-P02")
    for statement in (
        "update tieout.period_plan set state = 'applied', applied_at = now()",
        "update tieout.period_plan set state = 'applied', applied_at = now(), decided_by = 'x', decided_at = now(), "
        "decided_hash = hash",
        "update tieout.period_plan set needs_approval = false",
        "update tieout.period_plan_line set state = 'applied'",
        "update tieout.period_plan_line set after_minor = 1",
        "update tieout.period_plan set state = 'approved', decided_by = ' ', decided_at = now(), decided_hash = hash",
        "update tieout.period_plan set state = 'approved', decided_by = 'Bob', decided_at = now(), decided_hash = hash",
        "update tieout.period_plan set state = 'approved', decided_by = 'Anna', decided_at = now(), decided_hash = 'x'",
        "delete from tieout.period_plan_line",
        "insert into tieout.period_plan_line (plan_id, position, object, source_id, action, before_minor, after_minor, "
        "held_minor, digest) select plan_id, 99, 'order', 'x', 'create', 0, 1, 0, 'x' from tieout.period_plan",
    ):
        with pytest.raises(DBAPIError):
            company.rows(statement)
    for by, words in ((" ", "needs the name"), ("Bob", "Bob is not among those who may decide it: Anna")):
        with pytest.raises(NotAllowed, match=words):
            company.decide(plan, by)
    company.decide(plan, " anna ")
    assert company.go_on(plan)["applied"] == 2
    with pytest.raises(DBAPIError, match="cannot become"):
        company.rows("update tieout.period_plan set state = 'approved'")


def test_what_was_sent_back_posts_nothing_and_closes_its_run(company: Company) -> None:
    company.settings(Periods())
    plan = company.wait("FY2026-P02")
    with pytest.raises(NotAllowed, match="needs a reason"):
        company.decide(plan, "Anna", agreed=False)
    company.decide(plan, "Anna", agreed=False, note="F-2 is not ours")
    numbers = company.go_on(plan)
    assert (numbers["state"], numbers["applied"]) == ("sent_back", 0)
    assert company.billed() == []
    with company.engine.connect() as conn:
        run = steps.runs.get(conn, plan.run_id)
    assert run is not None and run.state == "partial"
    with pytest.raises(NotAllowed, match="is sent_back by Anna"):
        company.decide(plan, "Ben")


def test_a_record_that_changed_since_the_plan_is_left_to_the_next_one(company: Company) -> None:
    company.settings(Periods())
    plan = company.wait("FY2026-P02")
    company.decide(plan, "Anna")
    company.happens(change_order="F-2", set={"quantity": 5})
    company.happens(change_order="F-1", set={"activated": False})
    with company.services() as services:
        quote_to_cash.extract(services, str(plan.run_id))
    numbers = company.go_on(plan)
    assert (numbers["applied"], numbers["changed"]) == (0, 2)
    assert company.billed() == []
    with company.engine.connect() as conn:
        found = {one.line.source_number: one.found for one in period_plans.lines(conn, plan.plan_id)}
    assert "now: create 250.00 GBP" in str(found[number_of(company, "F-2")])
    assert "now there is nothing to do: not_billable" in str(found[number_of(company, "F-1")])
    company.settings(FREE)
    assert company.run("FY2026-P02")["amounts"] == {"GBP": {"create": 25000}}
    assert [one[3] for one in company.billed()] == [Decimal("250.00")]


def test_a_corrected_tax_code_is_planned_as_a_change_of_what_nobody_touched(company: Company) -> None:
    company.run("FY2026-P02")
    company.settings(FREE, tax_codes={**company.world.link.tax_codes, "standard": "RROUTPUT"})
    made = company.run("FY2026-P02", dry_run=True)
    assert (made["lines"], made["state"]) == ({"credit_and_rebill": 2}, "dry")
    assert [one[1:4] for one in company.lines(made["plan"])] == [
        ("credit_and_rebill", 5000, 5000), ("credit_and_rebill", 20000, 20000)
    ]  # fmt: skip
    with company.engine.connect() as conn:
        kept = period_plans.lines(conn, made["plan"])
    assert {one.line.posting_date for one in kept} == {date(2026, 2, 1), date(2026, 2, 28)}
    assert all(one.line.credit_date and one.line.credit_date > date(2026, 6, 1) for one in kept)
    assert len(company.billed()) == 2, "a dry run posts nothing"
    company.run("FY2026-P02")
    assert sorted(one[1] for one in company.billed()) == ["credit note", "credit note", *["invoice"] * 4]


def test_an_order_that_was_moved_is_seen_in_the_period_of_its_invoice_and_never_billed_twice(company: Company) -> None:
    company.run("FY2026-P02")
    company.happens(change_order="F-2", set={"EffectiveDate": "2026-03-15", "quantity": 5})
    assert company.run("FY2026-P02", dry_run=True)["lines"] == {"credit_and_rebill": 1}
    assert company.run("FY2026-P03")["lines"] == {"create": 1, "credit_and_rebill": 1}
    live = [one for one in company.billed() if one[0] == "F-2" and one[1] == "invoice"]
    assert sorted(one[3] for one in live) == [Decimal("200.00"), Decimal("250.00")]
    assert company.run("FY2026-P02")["lines"] == {}


def test_a_held_record_is_told_and_waits(company: Company) -> None:
    company.happens(change_order="F-1", set={"tax": "luxury"}, line=1)
    numbers = company.run("FY2026-P02")
    assert (numbers["lines"], numbers["outcomes"]) == ({"create": 1, "hold": 1}, {"held": 1, "posted": 1})
    assert numbers["amounts"] == {"GBP": {"create": 20000, "hold": 5000}}
    (letter,) = company.rows("select reason from tieout.dead_letter where state = 'open'")
    assert letter.reason == "unknown_tax_code"


def test_every_step_again_and_a_kill_in_the_middle_do_no_harm(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    with company.services() as services:
        run_id = fiscal_period.start(services, period="FY2026-P02")
        for name in ("extract", "check", "plan", "extract", "check", "plan"):
            getattr(fiscal_period, name)(services, run_id)
        plans = company.rows("select state from tieout.period_plan order by plan_id")
        assert [row.state for row in plans] == ["replaced", "planned"]
        with monkeypatch.context() as broken:
            broken.setattr(fiscal_period.quote_to_cash, "deliver_and_settle", _killed)
            with pytest.raises(KeyboardInterrupt):
                fiscal_period.apply(services, run_id)
        assert company.billed() == [] and company.rows("select count(*) as n from tieout.intent")[0].n == 4
        for _ in range(2):
            for name in fiscal_period.AFTER_DECISION:
                numbers = getattr(fiscal_period, name)(services, run_id)
        assert (numbers["applied"], numbers["outcomes"]) == (2, {"posted": 2})
    assert len(company.billed()) == 2


def _killed(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_run_ends_with_the_report_of_its_period(company: Company) -> None:
    """Before anything is posted all of the period is missing in finance; afterwards both sides are the same."""

    def invoices(numbers: dict[str, Any]) -> tuple[str, int, int, int]:
        with company.engine.connect() as conn:
            totals = period_report.totals(conn, numbers["report"])
        [one] = [each for each in totals if each.area == "invoices"]
        return numbers["report_state"], one.a_amount, one.b_amount, one.unexplained

    assert invoices(company.run("FY2026-P02", dry_run=True)) == ("tied", 25000, 0, 0)
    first = company.run("FY2026-P02")
    assert invoices(first) == ("tied", 25000, 25000, 0)
    again = company.run("FY2026-P02")
    assert (again["applied"], again["report_hash"]) == (0, first["report_hash"])
    assert company.rows("select * from tieout.period_report_item where report_id = " + str(again["report"])) == []


def test_a_plan_asks_for_approval_beyond_the_links_bounds(company: Company) -> None:
    within = Over(documents=2, amount_minor=25000)
    company.settings(Periods(approval=ApprovalOver(over=within)))
    assert company.run("FY2026-P02", dry_run=True)["needs_approval"] is False
    for bounds, why in (({"documents": 1}, "2 documents are more than 1"),
                        ({"amount_minor": 24999}, "250.00 GBP is more than 249.99")):  # fmt: skip
        company.settings(Periods(approval=ApprovalOver(over=Over(**bounds))))
        assert company.wait("FY2026-P02").approval_reason == why
    company.settings(Periods())
    assert company.run("FY2025-P02")["approval_reason"] == "nothing is to be posted"


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("FY2026-P13", "no period is named 'FY2026-P13'; fiscal year 2026 has FY2026-P01 to FY2026-P12"),
        ("FY2088-P01", "begins on 2088-01-01: expected one that has begun"),
    ],
)
def test_a_period_that_is_not_there_or_has_not_begun(company: Company, label: str, words: str) -> None:
    with pytest.raises(ConfigurationFault, match=words):
        company.run(label)
    assert company.rows("select count(*) as n from tieout.sync_run")[0].n == 0, "nothing half done"


def test_the_interval_of_another_calendar_is_refused(company: Company) -> None:
    from tieout.scenarios.periods.calendar import calendar_of

    with company.services() as services:
        zone = fiscal_period.ZoneInfo(services.link.time_zone)
        bounds = calendar_of(services).period("FY2026-P03").bounds(zone)
        weeks = replace(services, link=services.link.model_copy(update={"calendar": "weeks_445"}))
        with pytest.raises(ConfigurationFault, match="is no period of its calendar weeks_445; expected one such as"):
            fiscal_period.start(weeks, interval=bounds)
        run_id = fiscal_period.start(services, interval=bounds)
        with pytest.raises(ConfigurationFault, match="is no period of its calendar weeks_445"):
            fiscal_period.extract(weeks, run_id)
        fiscal_period.extract(services, run_id)
        with pytest.raises(ConfigurationFault, match="has no plan"):
            fiscal_period.apply(services, run_id)
    assert UUID(run_id)
