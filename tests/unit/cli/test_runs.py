"""Runs, traces and differences from the command line; exit codes: 65 a person has to act, 75 try again later."""

from __future__ import annotations

import json
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine

from tests.support.delivery import intent, plan, run_until_settled
from tests.support.ledger import MemoryLedger, VirtualClock
from tests.support.postgres import PostgresServer
from tests.unit.cli.conftest import SECRET, Command
from tieout.store import documents, runs
from tieout.store.documents import Judgement


def _run(engine: Engine, link: str = "demo") -> UUID:
    with engine.begin() as conn:
        run_id = runs.start(
            conn, link=link, scenario="quote_to_cash", trigger="manual", mapping_hash="m", suite_hash="s",
            code_version="test",
        )  # fmt: skip
        runs.finish(conn, run_id, "succeeded", counts={"read": 7, "posted": 7}, amounts={})
    return run_id


def test_runs_are_listed_newest_first_and_by_link(command: Command, engine: Engine) -> None:
    first, second = _run(engine), _run(engine)
    other = _run(engine, "other")
    listed = [one["run_id"] for one in json.loads(command("runs", "--link", "demo", "--json").stdout)]
    assert listed == [str(second), str(first)]
    shown = command("runs", "--limit", "1").stdout
    assert str(other) in shown and str(first) not in shown and "succeeded" in shown


def test_a_trace_of_nothing_is_told(command: Command) -> None:
    result = command("trace", "INV-4711")
    assert result.exit_code == 65
    assert "nothing carries 'INV-4711'" in result.stderr
    assert json.loads(command("trace", "INV-4711", "--json").stdout) == []


def test_a_trace_shows_intent_and_attempts_by_the_invoices_number(command: Command, engine: Engine) -> None:
    ledger = MemoryLedger(VirtualClock())
    plan(engine, [intent(1)], ledger.clock)
    run_until_settled(engine, ledger)
    steps = json.loads(command("trace", "INV-1", "--json").stdout)
    assert [step["step"] for step in steps] == ["intent", "attempt", "link"]
    assert "CONFIRMED" in steps[0]["title"] and steps[2]["facts"]["vendor_id"] == ledger.documents[0].vendor_id
    assert "invoice revision 1: natural.create is CONFIRMED" in command("trace", "INV-1").stdout


def _posted(source_id: str, source_minor: int | None, posted_minor: int | None, currency: str = "EUR") -> Judgement:
    return Judgement(
        source_id=source_id, source_number=f"N{source_id}", outcome="posted", seen_version=1, currency=currency,
        doc_uid=intent(source_id).doc_uid, source_minor=source_minor, posted_minor=posted_minor,
    )  # fmt: skip


@pytest.fixture
def judged(engine: Engine) -> None:
    """Two invoices that differ by 5 cents up and down, one that is equal, one of yen, one that is not posted."""
    ledger = MemoryLedger(VirtualClock())
    plan(engine, [intent(1, link="demo")], ledger.clock)
    run_until_settled(engine, ledger)
    held = Judgement("5", "N5", "held", 1, reason="x", currency="EUR", source_minor=100)
    documents_ = [_posted("1", 1000, 1005), _posted("2", 2000, 1995), _posted("3", 1, 1), _posted("4", 7, 8, "JPY")]
    with engine.begin() as conn:
        documents.upsert(conn, "demo", "order", [*documents_, held], uuid4())


def test_differences_are_listed_one_by_one_with_both_amounts(command: Command, judged: None) -> None:
    result = command("differences", "demo")
    assert result.exit_code == 65 and "3 posted documents differ" in result.stderr
    rows = [line.split("│") for line in result.stdout.splitlines() if "│ N" in line]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["order", "N1", "INV-1", "EUR", "10.00", "10.05", "0.05"],
        ["order", "N2", "", "EUR", "20.00", "19.95", "-0.05"],
        ["order", "N4", "", "JPY", "7", "8", "1"],
    ]


def test_differences_as_json_are_exact(command: Command, judged: None) -> None:
    found = json.loads(command("differences", "demo", "--json").stdout)
    assert [(one["source_id"], one["source_minor"], one["posted_minor"]) for one in found] == [
        ("1", 1000, 1005), ("2", 2000, 1995), ("4", 7, 8),
    ]  # fmt: skip


def test_no_differences_is_said_and_another_links_are_not_shown(command: Command, judged: None) -> None:
    result = command("differences", "maven")
    assert result.exit_code == 0 and "every posted document" in result.stdout
    assert command("differences", "nowhere").exit_code == 65


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--step", "check"], "--step and --run-id go together"),
        (["--run-id", str(uuid4())], "--step and --run-id go together"),
        (["--step", "chek", "--run-id", str(uuid4())], "no step 'chek'"),
        (["--step", "check", "--run-id", "17"], "expected the id of a run"),
        (["--step", "check", "--run-id", str(uuid4())], "link demo has no run"),
    ],
)
def test_a_step_needs_a_run_of_this_link(command: Command, arguments: list[str], words: str) -> None:
    result = command("quote-to-cash", "demo", *arguments)
    assert result.exit_code == 65 and words in result.stderr


def test_the_run_of_another_link_is_not_taken(command: Command, engine: Engine) -> None:
    run_id = str(_run(engine, "maven"))
    result = command("quote-to-cash", "demo", "--step", "check", "--run-id", run_id)
    assert result.exit_code == 65 and "link demo has no run" in result.stderr


def test_without_connections_a_person_has_to_act(command: Command) -> None:
    result = command("quote-to-cash", "demo")
    assert result.exit_code == 65
    assert "no connection 'salesforce_demo': set AIRFLOW_CONN_SALESFORCE_DEMO" in result.stderr


def test_a_system_that_is_not_there_is_to_be_tried_again(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, system in (("salesforce_demo", "salesforce"), ("xero_demo", "xero")):
        entry = {"conn_type": f"tieout_{system}", "host": "http://127.0.0.1:9", "login": "x", "password": SECRET,
                 "extra": {"allowed_hosts": "127.0.0.1", "token_url": "http://127.0.0.1:9/token"}}  # fmt: skip
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(entry))
    result = command("quote-to-cash", "demo")
    assert result.exit_code == 75 and "it may work when it is tried again" in result.stderr


def test_a_database_that_is_not_there_is_to_be_tried_again(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_DATABASE_URL", f"postgresql://ann:{SECRET}@127.0.0.1:9/books")
    result = command("runs")
    assert result.exit_code == 75 and "127.0.0.1/books is not reachable" in result.stderr


def test_no_database_at_all_is_a_setting(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIEOUT_DATABASE_URL")
    result = command("runs")
    assert result.exit_code == 65 and "TIEOUT_DATABASE_URL is not set" in result.stderr


@pytest.fixture
def empty_url(postgres_server: PostgresServer) -> Callable[[], str]:
    return postgres_server.empty_database


def test_a_database_without_our_tables_is_migrated_once_and_again(
    command: Command, empty_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIEOUT_DATABASE_URL", empty_url())
    result = command("runs")
    assert result.exit_code == 65 and "run `tieout migrate`" in result.stderr
    assert command("migrate").exit_code == 0
    assert "the schema is at" in command("migrate").stdout
    assert command("runs").exit_code == 0
