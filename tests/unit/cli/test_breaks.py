"""`tieout reconcile assign, accept, sign ...` as people use them on the breaks of the link `demo`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from tests.support.differences import Difference, live, reconciled
from tests.unit.cli.conftest import Command

MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)
CENT = Difference("order:1", 1, "rounding", within_tolerance=True)
EDITED = Difference("order:2", 44000, customer_name="Acme Ltd")


@pytest.fixture
def ids(engine: Engine) -> dict[str, str]:
    """Key -> break id, of Monday's reconciliation."""
    reconciled(engine, MONDAY, [CENT, EDITED], link="demo")
    return {key: str(row["break_id"]) for key, row in live(engine, "demo").items()}


def test_breaks_are_assigned_noted_handed_on_and_closed_by_two_people(
    command: Command, ids: dict[str, str], engine: Engine, tmp_path: Path
) -> None:
    both, edited = list(ids.values()), ids["order:2"]
    assert "2 assigned" in command("reconcile", "assign", *both, "--to", "Sales", "--by", "Ann").output
    assert "nothing changed" in command("reconcile", "assign", *both, "--to", "Sales", "--by", "Ann").output
    command("reconcile", "note", edited, "--text", "price list of March", "--by", "Ann")
    command("reconcile", "reason", edited, "--code", "agreed_with_customer", "--by", "Ann")
    command("reconcile", "due", edited, "--on", "2026-03-05", "--by", "Ann")
    proof = tmp_path / "proof.txt"
    proof.write_text("they agreed")
    assert "sha256" in command("reconcile", "attach", edited, str(proof), "--by", "Ann").output
    assert edited in command("reconcile", "overdue", "demo").output
    for state in ("with_preparer", "with_reviewer"):
        assert command("reconcile", "move", edited, "--to", state, "--by", "Ann").exit_code == 0
    own = command("reconcile", "close", edited, "--by", "ann")
    assert (own.exit_code, "another person decides" in own.output) == (65, True)
    assert "1 closed" in command("reconcile", "close", edited, "--by", "Ben").output
    events = json.loads(command("reconcile", "history", edited, "--json").output)
    assert [event["event"] for event in events] == [
        "opened", "assigned", "noted", "reasoned", "due", "attached", "moved", "moved", "moved",
    ]  # fmt: skip
    assert "price list of March" in command("reconcile", "history", edited).output


def test_a_cent_is_accepted_and_an_edited_invoice_is_not(command: Command, ids: dict[str, str]) -> None:
    cent = command("reconcile", "accept", ids["order:1"], "--code", "rounding", "--by", "Ann")
    assert "1 accepted" in cent.output
    edited = command("reconcile", "accept", ids["order:2"], "--code", "rounding", "--by", "Ann")
    assert (edited.exit_code, "440.00 GBP of at most 0.00 GBP" in edited.output) == (65, True)
    unknown = command("reconcile", "accept", ids["order:1"], "--code", "whatever", "--by", "Ann")
    assert "is no reason code" in unknown.output


def test_a_report_is_signed_by_two_people_and_a_rerun_shows_what_changed(
    command: Command, ids: dict[str, str], engine: Engine
) -> None:
    seen = command("reconcile", "standing", "demo").output.rpartition("hash ")[2].strip()
    for role, by in (("preparer", "Ann"), ("reviewer", "Ben")):
        signed = command("reconcile", "sign", "demo", "--as", role, "--by", by, "--hash", seen[:12])
        assert f"is signed by {by} as {role}" in signed.output
    assert json.loads(command("reconcile", "standing", "demo", "--json").output)["complete"] is True
    reconciled(engine, MONDAY, [CENT, replace(EDITED, amount=43000)], link="demo")
    shown = command("reconcile", "standing", "demo", "--as-of", "2026-03-02").output
    for words in ("suspended by report", "1 changed since it was signed", "440.00", "430.00", "Acme Ltd"):
        assert words in shown
    late = command("reconcile", "sign", "demo", "--as", "preparer", "--by", "Ann", "--hash", seen)
    assert (late.exit_code, "not the hash" in late.output) == (65, True)


def test_a_period_is_rolled_forward(command: Command, ids: dict[str, str], engine: Engine) -> None:
    reconciled(engine, TUESDAY, [CENT], link="demo")
    period = ("reconcile", "roll-forward", "demo", "--from", "2026-03-03", "--to", "2026-03-31")
    (roll,) = json.loads(command(*period, "--json").output)["rolls"]
    assert (roll["opening"], roll["new"], roll["cleared"], roll["changed"], roll["closing"]) == (44001, 0, 44000, 0, 1)
    assert "440.01" in command(*period).output


def test_a_fix_of_a_break_that_has_none_is_refused_before_anything_is_read(
    command: Command, ids: dict[str, str]
) -> None:
    wrong = command("reconcile", "fix", ids["order:2"], "--by", "Ann", "--reason", "x", "--kind", "delete")
    assert (wrong.exit_code, "no fix 'delete'" in wrong.output) == (65, True)
