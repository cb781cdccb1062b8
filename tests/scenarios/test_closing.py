"""Closing a fiscal period: the checklist, who closes, what is frozen, and the recount of what moved afterwards."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import yaml
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from tests.support import pages
from tests.support.crm_ledger import ledger_connection
from tests.support.pages import as_
from tests.support.periods import MONTHS, Company, quick
from tests.support.sandbox import SandboxProcess
from tieout.model.settings import PROJECT, load_settings
from tieout.reconcile import report_store, sign_off
from tieout.scenarios import reconciliation, steps
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.scenarios.periods import checklist, closing, control, recount
from tieout.scenarios.periods.acts import NotAccepted
from tieout.scenarios.periods.calendar import calendar_of
from tieout.scenarios.periods.checklist import Checklist
from tieout.store import periods
from tieout.store.periods import Refused
from tieout.web import safety

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proves(
        "a period is closed by a checklist, its report is frozen, and what moves afterwards is told",
        scenario="reconciliation",
        pair=("salesforce", "xero"),
    ),
]
JANUARY, FEBRUARY = MONTHS.period("FY2026-P01"), MONTHS.period("FY2026-P02")


class Finance(Company):
    """A company whose finance people close January."""

    def checklist(self, period: Any = JANUARY) -> Checklist:
        with self.services() as services, self.engine.connect() as conn:
            before = calendar_of(services).before(period)
            return checklist.evaluate(conn, services.settings, services.link, period, before)

    def accept(self, act: Any, subject: str, note: str = "agreed with the auditor", who: str = "Petra") -> int:
        found = self.checklist()
        with self.engine.begin() as conn:
            return closing.accept(conn, found, act, subject, who, note)

    def control(self) -> control.Control:
        with self.services() as services:
            return control.read(services, JANUARY, UUID(steps.start(services, "reconciliation")))

    def sign(self, day: date) -> None:
        with self.engine.begin() as conn:
            report = report_store.newest(conn, self.link, day)
            assert report is not None and report.hash is not None
            sign_off.sign(conn, report.report_id, "preparer", "Petra", report.hash)
            sign_off.sign(conn, report.report_id, "reviewer", "Rex", report.hash)

    def ready(self) -> None:
        """Everything that closing January wants, but that somebody begins it."""
        self.world.doors.settings("xero", period_lock_date="2026-01-31")
        self.reconcile(JANUARY.last)
        self.sign(JANUARY.last)
        self.report(JANUARY)
        self.control()
        self.accept("exception_accepted", "fact:days", "Tieout began on the last day of the month")

    def begin(self, who: str = "Petra") -> None:
        with self.engine.begin() as conn:
            periods.begin_closing(conn, self.link, JANUARY, who)

    def close(self, who: str = "Rex") -> int:
        with self.services() as services:
            return closing.close(services, JANUARY.label, who)

    def recount(self) -> recount.Recount:
        """As the next day's reconciliation does it."""
        self.reconcile(JANUARY.last + timedelta(days=40))
        with self.engine.connect() as conn:
            found = recount.newest(conn, self.link, JANUARY.label)
        assert found is not None
        return found


@pytest.fixture
def finance(sandbox: SandboxProcess, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Finance]:
    quick(monkeypatch)
    made = Finance(sandbox, engine)
    yield made
    made.world.close()


def test_a_period_is_closed_when_every_fact_holds_and_its_report_is_frozen(finance: Finance) -> None:
    assert {one.name for one in finance.checklist().missing} == {
        "report", "days", "breaks", "control_account", "variances", "sign_offs", "ledger_lock",
    }  # fmt: skip
    with pytest.raises(Refused, match="is open: a period is closed after somebody began closing it"):
        finance.close()
    finance.begin()
    with pytest.raises(Refused, match=r"stays open: the period report ties: There is none; every day was reconciled"):
        finance.close()
    finance.ready()
    assert finance.checklist().missing == []
    with pytest.raises(Refused, match="petra began closing it, another person closes it"):
        finance.close("petra")
    finance.close()
    with finance.engine.connect() as conn:
        [event] = [one for one in periods.events(conn, finance.link, JANUARY.label) if one.event == "closed"]
        frozen = recount.frozen(conn, finance.link, JANUARY.label)
    assert (event.actor, event.detail["report"], event.detail["hash"]) == ("Rex", frozen.report_id, frozen.hash)
    assert [one["name"] for one in event.detail["checklist"]] == [one.name for one in finance.checklist().facts]


def test_facts_cannot_be_overridden_and_an_acceptance_is_of_what_was_found(finance: Finance) -> None:
    for fact in ("report", "writes", "sign_offs", "breaks"):
        with pytest.raises(NotAccepted, match="a fact that nobody may accept"):
            finance.accept("exception_accepted", f"fact:{fact}")
    with pytest.raises(NotAccepted, match="needs the name of a person and a reason"):
        finance.accept("exception_accepted", "fact:days", " ")
    finance.accept("exception_accepted", "fact:days")
    assert "days" not in {one.name for one in finance.checklist().missing}
    # One day more is another fact: somebody looks again.
    finance.reconcile(date(2026, 1, 15))
    assert "days" in {one.name for one in finance.checklist().missing}


def test_a_report_that_is_older_than_the_books_cannot_be_frozen(finance: Finance) -> None:
    finance.ready()
    finance.begin()
    finance.world.doors.settings("xero", period_lock_date=None)
    finance.world.hand.pay(finance.invoice("J-1")["InvoiceID"], Decimal("10.00"), date(2026, 1, 30))
    finance.read()
    finance.world.doors.settings("xero", period_lock_date="2026-01-31")
    finance.read()
    with pytest.raises(Refused, match=r"not what report \d+ counted .*not there -> 10.00 GBP.*make the period report"):
        finance.close()


def test_an_unsettled_write_keeps_the_period_open(finance: Finance) -> None:
    finance.ready()
    finance.begin()
    with finance.engine.begin() as conn:
        conn.execute(
            sa.text(
                "update tieout.intent set state = 'UNKNOWN', sent_at = now() where intent_id = (select min(intent_id) "
                "from tieout.intent where posting_date between '2026-01-01' and '2026-01-31')"
            )
        )
    with pytest.raises(Refused, match=r"1 are not settled: write .* unknown"):
        finance.close()


def test_a_break_is_carried_forward_and_a_variance_explained(finance: Finance) -> None:
    finance.world._change_order(type("Step", (), {"set": {"quantity": Decimal(60)}, "line": 1})(), "J-1")  # type: ignore[arg-type]
    finance.reconcile()
    finance.report(MONTHS.period("FY2025-P12"))
    finance.report(JANUARY)
    found = finance.checklist()
    assert [one.line.amount for one in found.breaks] == [290000]
    assert not next(one for one in found.facts if one.name == "breaks").met
    finance.accept("carried_forward", found.breaks[0].subject, "rebilled in February")
    over = [one for one in found.variances if one.over]
    assert {(one.side, one.area, one.currency, one.change) for one in over} == {("CRM", "invoices", "GBP", 320000)}
    for one in over:
        finance.accept("variance_explained", one.subject, "a large order")
    missing = {one.name for one in finance.checklist().missing}
    assert not {"breaks", "variances"} & missing


def test_the_subledger_is_the_control_account_and_a_journal_by_hand_is_found(finance: Finance) -> None:
    hand = finance.world.hand
    hand.pay(finance.invoice("J-3")["InvoiceID"], Decimal("123.45"), date(2026, 1, 25))
    hand.pay(finance.invoice("J-1")["InvoiceID"], Decimal("7.00"), date(2026, 2, 25))
    contact = finance.world._contact("Acme Ltd")
    hand.receive("prepayment", contact, Decimal("30.00"), date(2026, 1, 3))
    hand.credit(contact, Decimal("5.00"), date(2026, 1, 9), "EUR")
    finance.read()
    read = finance.control()
    assert (read.difference, read.account, read.currency) == (0, "Accounts Receivable (610)", "GBP")
    assert read.control == read.subledger != 0
    # A document that the journals know nothing of.
    finance.world.doors.raw_documents("Invoices", [{
        "Type": "ACCREC", "Contact": {"ContactID": contact}, "InvoiceNumber": "X-1", "Total": "11.00",
        "SubTotal": "11.00", "Date": "2026-01-12",
    }])  # fmt: skip
    finance.read()
    assert finance.control().difference == -1100
    fact = next(one for one in finance.checklist().facts if one.name == "control_account")
    assert not fact.ok and "-11.00 differs" in fact.found


def test_a_payment_that_finance_back_dates_into_a_closed_period_is_told_with_who_did_it(
    finance: Finance, sandbox: SandboxProcess
) -> None:
    finance.ready()
    finance.begin()
    finance.close()
    assert finance.recount().moved == 0
    finance.world.doors.settings("xero", period_lock_date=None)
    connection = ledger_connection(sandbox, "finance")
    connection = type(connection)(connection.name, connection.system, connection.host, "sandbox-finance",
                                  connection.password, connection.extra)  # fmt: skip
    with LedgerHand(connection) as hand:
        hand.pay(finance.invoice("J-1")["InvoiceID"], Decimal("60.00"), date(2026, 1, 20))
    found = finance.recount()
    assert found.moved == 1
    assert found.figures == [{"area": "payments", "currency": "GBP", "scale": 2, "a_before": 0, "a_after": 0,
                              "b_before": 0, "b_after": 6000}]  # fmt: skip
    assert found.in_words == (
        "Closed period FY2026-P01 MOVED since it was closed: 1 documents, payments in the ledger by 60.00 GBP."
    )
    with finance.engine.connect() as conn:
        [told] = recount.told(conn, found.recount_id)
    assert (told.side, told.before, told.after, told.after_day, told.actor) == (
        "b", None, 6000, date(2026, 1, 20), "Fiona Finance"
    )  # fmt: skip
    # Tieout carries it to the CRM: the CRM's figure moves as well, by Tieout's own write.
    finance.sync()
    found = finance.recount()
    with finance.engine.connect() as conn:
        by_side = {one.side: one for one in recount.told(conn, found.recount_id)}
    assert (by_side["a"].after, by_side["a"].actor) == (6000, "Tieout (quote_to_cash)")
    assert "write back" in by_side["a"].how


def test_what_a_run_of_the_reconciliation_tells_of_closed_periods(finance: Finance) -> None:
    finance.begin()
    finance.world.doors.settings("xero", period_lock_date="2026-01-31")
    numbers = finance.reconcile(JANUARY.last)
    [closing_] = numbers["closed_periods"]["closing"]
    assert (closing_["period"], closing_["state"], closing_["control"]) == (JANUARY.label, "tied", "equal")
    finance.sign(JANUARY.last)
    finance.accept("exception_accepted", "fact:days", "Tieout began on the last day of the month")
    finance.close()
    numbers = finance.reconcile()
    assert [one["moved"] for one in numbers["closed_periods"]["closed"]] == [0]
    assert reconciliation.STEPS == ("extract", "tie_out", "recount", "summarise")


def client_of(finance: Finance, tmp_path: Path) -> TestClient:
    """The pages over this company, whose link is a file of its own."""
    include = tmp_path / "include"
    shutil.copytree(PROJECT / "include", include)
    link = finance.world.link.model_dump(mode="json", exclude_defaults=True)
    (include / "links" / f"{finance.link}.yaml").write_text(yaml.safe_dump(link))
    settings = replace(load_settings(), project=tmp_path)

    def close(_: str, label: str, who: str) -> int:
        with finance.services() as services:
            return closing.close(services, label, who)

    return TestClient(
        pages.app(finance.engine, tmp_path, closer=close, settings=lambda: settings), follow_redirects=False
    )


def test_the_page_closes_a_period_by_the_roles(finance: Finance, tmp_path: Path) -> None:
    page = f"/close?link={finance.link}&period={JANUARY.label}"

    def post(person: str, path: str, **fields: str) -> tuple[int, str]:
        data = {
            "csrf": safety.csrf_token(b"a secret of the test", person),
            "link": finance.link,
            "period": JANUARY.label,
            "label": JANUARY.label,
            **fields,
        }
        answer = client.post(f"/tieout{path}", headers=as_(person), data=data)
        return answer.status_code, answer.text

    def read(person: str, path: str = page) -> str:
        answer = client.get(f"/tieout{path}", headers=as_(person))
        assert answer.status_code == 200, answer.text
        assert not re.search(r"<script(?! src=)|\sstyle=|\son\w+=", answer.text)
        return answer.text

    with client_of(finance, tmp_path) as client:
        assert "There is none." in read("vera")
        assert (
            client.get(f"/tieout/close?link={finance.link}&period=FY1900-P01", headers=as_("vera")).status_code == 404
        )
        finance.world.doors.settings("xero", period_lock_date="2026-01-31")
        finance.begin("petra")
        finance.reconcile(JANUARY.last)  # makes the period report and reads the control account
        finance.sign(JANUARY.last)
        assert "Close FY2026-P01</button>" not in read("rex")
        assert post("rex", "/close/accept", act="exception_accepted", subject="fact:days", note="x")[0] == 403
        assert post("petra", "/close/accept", act="exception_accepted", subject="fact:writes", note="x")[0] == 409
        assert post("petra", "/close/accept", act="exception_accepted", subject="fact:days", note="new link")[0] == 303
        assert "new link" in read("vera")
        assert "Close FY2026-P01</button>" not in read("vera")
        assert "A reviewer closes it." in read("petra")
        assert "Close FY2026-P01</button>" in read("rex")
        assert post("petra", "/close/period")[0] == 403
        assert post("rex", "/close/period", csrf="0")[0] == 403
        assert post("rex", "/close/period")[0] == 303
        assert "FY2026-P01 of" in read("vera") and ": closed</h1>" in read("vera")
        status, text = post("rex", "/close/period")
        assert status == 409 and "is closed: a period is closed after somebody began closing it" in text
        today = finance.reconcile()["as_of"]
        assert "nothing moved since it was closed" in read("vera")
        assert "nothing moved since it was closed" in read("vera", f"/tie-outs/{finance.link}/{today}")
        printed = read("vera", f"/close/print?link={finance.link}&period={JANUARY.label}")
        assert "Checklist" in printed and "<form" not in printed and 'class="paper"' in printed


def test_a_period_that_was_closed_without_a_report_is_told_and_fails_no_day(finance: Finance) -> None:
    finance.begin()
    with finance.engine.begin() as conn:
        periods.close(conn, finance.link, JANUARY.label, "Rex", {"note": "before there were period reports"})
    numbers = finance.reconcile()
    [one] = numbers["closed_periods"]["closed"]
    assert one["moved"] == 0 and "was not closed with a period report" in one["said"]
