"""The page of a plan: its sums and lines, and who may decide on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from tests.support.pages import app, as_, token
from tieout.scenarios.periods import showing
from tieout.store import audit, period_plans, runs
from tieout.store.period_plans import Line, New, Plan

LINE = Line(
    object="order", source_id="801000000000001AAA", source_number="00000101", action="create",
    customer_id="001000000000001AAA", vendor_customer_id=None, customer="[Acme](http://x) <b>Ltd</b>",
    document="INV-101", currency="GBP", before_minor=0, after_minor=12345, held_minor=0,
    posting_date=date(2026, 2, 3), credit_date=None, reason=None, message=None, digest="x",
)  # fmt: skip
CREDITED = replace(LINE, source_id="2", source_number="00000102", action="credit_and_rebill", before_minor=700,
                   after_minor=800, credit_date=date(2026, 3, 1))  # fmt: skip
HELD = replace(LINE, source_id="3", source_number="00000103", action="hold", after_minor=0, held_minor=900,
               reason="unknown_product", message="the ledger has no item 'X'")  # fmt: skip


def made(engine: Engine, approvers: tuple[str, ...] = ()) -> Plan:
    with engine.begin() as conn:
        run_id: UUID = runs.start(conn, link="acme", scenario="fiscal_period", trigger="cli", mapping_hash="m",
                                  suite_hash="s")  # fmt: skip
        return period_plans.keep(conn, New(
            link="acme", label="FY2026-P02", first=date(2026, 2, 1), last=date(2026, 2, 28), run_id=run_id, dry=False,
            records=9, unchanged=6, in_flight=0, new_customers=1, needs_approval=True, approval_reason="always",
            approvers=approvers, lines=[LINE, CREDITED, HELD],
        ))  # fmt: skip


@pytest.fixture
def client(engine: Engine, tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(app(engine, tmp_path)) as client:
        yield client


def decide(client: TestClient, plan: Plan, person: str, verdict: str, note: str = "", seen: str | None = None) -> int:
    form = {"csrf": token(client, person, f"/plan?plan={plan.plan_id}"), "plan": plan.plan_id, "verdict": verdict,
            "seen": plan.hash if seen is None else seen, "note": note}  # fmt: skip
    return client.post("/tieout/plan/decide", data=form, headers=as_(person), follow_redirects=False).status_code


def test_sums_lines_and_names_are_shown_as_they_are(client: TestClient, engine: Engine) -> None:
    plan = made(engine)
    page = client.get(f"/tieout/plan?plan={plan.plan_id}", headers=as_("vera")).text
    for shown in ("123.45", "7.00", "8.00", "9.00", "FY2026-P02", "2026-03-01", "waits for an approval", plan.hash,
                  "the ledger has no item &#39;X&#39;", "[Acme](http://x) &lt;b&gt;Ltd&lt;/b&gt;"):  # fmt: skip
        assert shown in page
    assert "Approve what is shown" not in page, "who only reads is offered nothing"
    assert f"plan={plan.plan_id}" in client.get("/tieout/plan", headers=as_("vera")).text
    assert client.get("/tieout/plan?plan=999", headers=as_("vera")).status_code == 404
    assert client.get(f"/tieout/plan?plan={plan.plan_id}").status_code == 401


def test_a_person_with_the_right_approves_what_was_shown(client: TestClient, engine: Engine) -> None:
    plan = made(engine)
    open_before = token(client, "rex", f"/plan?plan={plan.plan_id}")
    assert decide(client, plan, "petra", "approve", seen="0" * 64) == 409
    assert decide(client, plan, "petra", "approve") == 303
    late = {"csrf": open_before, "plan": plan.plan_id, "verdict": "send_back", "seen": plan.hash, "note": "too late"}
    assert client.post("/tieout/plan/decide", data=late, headers=as_("rex")).status_code == 409
    with engine.connect() as conn:
        found = period_plans.get(conn, plan.plan_id)
        assert found is not None and (found.state, found.decided_by) == ("approved", "petra")
        assert audit.verify(conn, "link:acme") is None


def test_to_send_back_needs_a_reason(client: TestClient, engine: Engine) -> None:
    plan = made(engine)
    assert decide(client, plan, "rex", "send_back", note=" ") == 400
    assert decide(client, plan, "rex", "send_back", note="F-2 is not ours") == 303
    with engine.connect() as conn:
        found = period_plans.get(conn, plan.plan_id)
    assert found is not None and (found.state, found.note) == ("sent_back", "F-2 is not ours")


def test_nobody_decides_who_may_not(client: TestClient, engine: Engine) -> None:
    plan, other = made(engine, approvers=("Rex",)), made(engine)
    page = client.get(f"/tieout/plan?plan={plan.plan_id}", headers=as_("petra")).text
    assert "has Rex decide" in page and "<form" not in page
    csrf = token(client, "petra", f"/plan?plan={other.plan_id}")
    form = {"csrf": csrf, "plan": plan.plan_id, "verdict": "approve", "seen": plan.hash}
    assert client.post("/tieout/plan/decide", data=form, headers=as_("petra")).status_code == 409
    assert client.post("/tieout/plan/decide", data=form, headers=as_("vera")).status_code == 403
    assert client.post("/tieout/plan/decide", data=form | {"csrf": "x"}, headers=as_("rex")).status_code == 403
    assert decide(client, plan, "rex", "approve") == 303


def test_in_airflow_a_name_is_no_link_and_no_table(engine: Engine) -> None:
    plan = made(engine)
    with engine.connect() as conn:
        told = showing.markdown(plan, period_plans.totals(conn, plan.plan_id), period_plans.lines(conn, plan.plan_id),
                                "http://a/tieout/plan?plan=1")  # fmt: skip
    assert r"\[Acme\]\(http://x\) \<b\>Ltd\</b\>" in told and "](http://x)" not in told
    assert "| create | GBP | 1 | 0.00 | 123.45 | 0.00 |" in told and "(http://a/tieout/plan?plan=1)" in told
