"""`tieout hooks`: what waits and failed, read now, try again; no body is ever shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from tests.support.sandbox import SandboxProcess
from tests.unit.cli.conftest import Command
from tieout.store import hooks
from tieout.store.hooks import End

EVENT = {"resourceId": "5d1f9e0c-7a54-4f6e-9a51-000000000001", "eventCategory": "CONTACT", "tenantId": "t"}


def keep(engine: Engine, connection: str = "xero_demo") -> None:
    with engine.begin() as conn:
        hooks.keep(conn, connection, json.dumps({"events": [EVENT], "entropy": uuid4().hex}).encode(), {})


def test_what_waits_and_failed_is_listed_by_link(command: Command, engine: Engine) -> None:
    keep(engine)
    keep(engine, "xero_of_another_link")
    with engine.begin() as conn:
        hooks.refuse(conn, "xero_demo", "wrong_signature")
    found = json.loads(command("hooks", "list", "demo", "--json").stdout)
    (standing,), (row,) = found["connections"], found["deliveries"]
    assert (standing["connection"], standing["waiting"], standing["refused"]) == (
        "xero_demo",
        1,
        {"wrong_signature": 1},
    )
    assert (row["state"], "body" in row) == ("waiting", False)
    shown = command("hooks", "list", "demo").stdout
    assert "xero_demo" in shown and "another_link" not in shown and EVENT["resourceId"] not in shown
    assert json.loads(command("hooks", "list", "demo", "--state", "failed", "--json").stdout)["deliveries"] == []
    assert "no state 'lost'" in command("hooks", "list", "demo", "--state", "lost").stderr
    assert command("hooks", "list", "nowhere").exit_code == 65


def test_a_failed_one_is_tried_again_only_for_its_own_link(command: Command, engine: Engine) -> None:
    keep(engine)
    with engine.begin() as conn:
        (row,) = hooks.take(conn, ["xero_demo"], 1)
        hooks.settle(conn, [End(row.hook_id, "failed", "given up", 8)], uuid4())
    number = str(row.hook_id)
    assert "0 of 1" in command("hooks", "again", "maven", number, "--by", "Olga").stdout
    assert "1 of 1" in command("hooks", "again", "demo", number, "--by", "Olga").stdout
    assert json.loads(command("hooks", "list", "demo", "--json").stdout)["deliveries"][0]["state"] == "waiting"


@pytest.mark.slow
def test_read_now_asks_the_vendor_and_tells_what_became_of_it(
    command: Command, engine: Engine, sandbox: SandboxProcess, connect_demo: Callable[..., None]
) -> None:
    connect_demo(sandbox)
    assert json.loads(command("hooks", "read", "demo", "--json").stdout)["rows"] == 0
    keep(engine)
    numbers = json.loads(command("hooks", "read", "demo", "--json").stdout)
    assert (numbers["rows"], numbers["read"], numbers["records"], numbers["gone"]) == (1, 1, 1, 1)


@pytest.mark.parametrize("days", ["0", "-1", "soon", "401", "1.5"])
def test_a_number_of_days_that_is_none_is_refused(command: Command, monkeypatch: pytest.MonkeyPatch, days: str) -> None:
    monkeypatch.setenv("TIEOUT_HOOK_DAYS", days)
    result = command("hooks", "list", "demo")
    assert result.exit_code == 65 and "TIEOUT_HOOK_DAYS: expected a number of days from 1 to 400" in result.stderr
