"""`tieout period plans|show-plan|approve|send-back`: what is shown is what is decided, by its hash."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.engine import Engine

from tests.unit.cli.conftest import Command
from tests.unit.web.test_plans import made
from tieout.store import period_plans, runs


def test_plans_are_listed_and_shown_with_sums_lines_and_hash(command: Command, engine: Engine) -> None:
    plan = made(engine)
    listed = command("period", "plans", "--waiting")
    assert listed.exit_code == 0 and "FY2026-P02" in listed.stdout and "waits" in listed.stdout
    shown = command("period", "show-plan", str(plan.plan_id))
    for words in ("credit and rebill", "INV-101", "123.45", "9.00", "the ledger has no item 'X'", plan.hash):
        assert words in shown.stdout
    plain = json.loads(command("period", "show-plan", str(plan.plan_id), "--json").stdout)
    assert [one["action"] for one in plain["lines"]] == ["create", "credit_and_rebill", "hold"]
    assert [one["held_minor"] for one in plain["totals"]] == [0, 0, 900]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show-plan", "77"), "no period plan 77: `tieout period plans` shows them"),
        (("approve", "77", "--by", "Anna", "--hash", "0" * 12), "there is no period plan 77"),
        (("run", "nobody", "FY2026-P05"), "no link 'nobody': include/links has"),
        (("plan", "nobody", "FY2026-P05"), "no link 'nobody'"),
    ],
)
def test_what_is_not_there_is_one_sentence(command: Command, arguments: tuple[str, ...], words: str) -> None:
    told = command("period", *arguments)
    assert told.exit_code == 65 and words in told.output


def test_a_decision_names_the_hash_and_a_plan_of_airflow_is_left_to_its_run(command: Command, engine: Engine) -> None:
    plan = made(engine)
    with engine.begin() as conn:
        conn.exec_driver_sql("update tieout.sync_run set airflow_dag_id = 'fiscal_period__acme', airflow_run_id = 'r'")
    wrong = command("period", "approve", str(plan.plan_id), "--by", "Anna", "--hash", "0" * 12)
    assert wrong.exit_code == 65 and "this is not the hash of what it shows" in wrong.output
    done = command("period", "approve", str(plan.plan_id), "--by", "Anna", "--hash", plan.hash[:12])
    assert done.exit_code == 0 and "goes on in Airflow: answer its task approve" in done.stdout
    with engine.connect() as conn:
        found = period_plans.get(conn, plan.plan_id)
        run = runs.get(conn, plan.run_id)
    assert found is not None and (found.state, found.decided_by) == ("approved", "Anna")
    assert run is not None and run.state == "running"
    late = command("period", "send-back", str(plan.plan_id), "--by", "Ben", "--hash", plan.hash, "--note", "late")
    assert late.exit_code == 65 and "is approved by Anna: there is nothing to decide" in late.output
