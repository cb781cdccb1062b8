"""`tieout period` as finance uses it: states beside the ledger's locks, closing begun, reopening by two people."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tests.support.delivery import RUN, intent
from tests.unit.cli.conftest import Command
from tieout.cli import FATAL
from tieout.delivery import intents
from tieout.model.calendar import CALENDAR_MONTHS, Period
from tieout.store import audit, periods

LINK = "demo"


@pytest.fixture
def month(engine: Engine) -> Period:
    """The last whole month, by the database's clock; the demo's calendar has months."""
    with engine.connect() as conn:
        today: date = conn.execute(sa.text("select current_date")).scalar_one()
    before = CALENDAR_MONTHS.before(CALENDAR_MONTHS.period_of(today))
    assert before is not None
    return before


def listed(command: Command, month: Period) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command("period", "list", LINK, "--json").output)
    return next(one for one in found["periods"] if one["label"] == month.label)


def closed(engine: Engine, month: Period) -> None:
    with engine.begin() as conn:
        periods.begin_closing(conn, LINK, month, "petra")
        periods.close(conn, LINK, month.label, "rex", {})


def test_closing_begins_and_is_stopped(command: Command, engine: Engine, month: Period) -> None:
    assert listed(command, month) | {"reopening": None} == {
        "label": month.label, "first": str(month.first), "last": str(month.last), "state": "open", "ledger": "open",
        "changed_at": None, "changed_by": None, "reopening": None,
    }  # fmt: skip
    done = command("period", "begin-closing", LINK, month.label, "--by", "petra", "--note", "it is over")
    assert (done.exit_code, done.output) == (0, f"{month.label} of demo is closing\n")
    assert (listed(command, month)["state"], listed(command, month)["changed_by"]) == ("closing", "petra")
    assert command("period", "stop-closing", LINK, month.label, "--by", "petra").exit_code == 0
    assert listed(command, month)["state"] == "open"
    told = json.loads(command("period", "events", LINK, month.label, "--json").output)
    assert [(one["event"], one["actor"]) for one in told] == [
        ("closing_stopped", "petra"), ("closing_begun", "petra")
    ]  # fmt: skip
    assert "it is over" in command("period", "events", LINK).output


def test_a_table_with_what_differs_from_the_ledger(command: Command, engine: Engine, month: Period) -> None:
    closed(engine, month)
    output = command("period", "list", LINK).output
    assert "The ledger has no lock date, as it was read last." in output
    assert f"{month.label} is closed here, and the ledger is not locked at all" in output
    assert f"set the ledger's lock date to {month.last}." in output


def test_one_person_asks_and_another_one_opens(command: Command, engine: Engine, month: Period) -> None:
    closed(engine, month)
    asked = command("period", "reopen", LINK, month.label, "--by", "petra", "--reason", "an invoice was forgotten")
    assert asked.exit_code == 0 and "`tieout period decide-reopening 1 --agree --by NAME`" in asked.output
    assert listed(command, month)["state"] == "closed"
    assert "1: petra asks, an invoice was forgotten" in command("period", "list", LINK).output
    alone = command("period", "decide-reopening", "1", "--agree", "--by", "Petra")
    assert alone.exit_code == FATAL and "petra asked for it, another person has to agree" in alone.output
    silent = command("period", "decide-reopening", "1", "--refuse", "--by", "rex")
    assert silent.exit_code == FATAL and "needs a reason" in silent.output
    done = command("period", "decide-reopening", "1", "--agree", "--by", "rex")
    assert (done.exit_code, done.output) == (0, f"{month.label} of demo is open again\n")
    with engine.connect() as conn:
        assert audit.verify(conn, "link:demo") is None


def test_a_refused_document_is_not_tried_again_in_a_closed_period(
    command: Command, engine: Engine, month: Period
) -> None:
    with engine.begin() as conn:
        intents.add(conn, [intent(1, link=LINK, posting_date=month.last)], RUN, "test")
        conn.execute(sa.text("update tieout.intent set state = 'REJECTED', reason = 'period_locked'"))
        number = conn.execute(sa.text("select intent_id from tieout.intent")).scalar_one()
    closed(engine, month)
    tried = command("intents", "try-again", str(number), "--by", "ann")
    assert tried.exit_code == FATAL
    assert f"intent {number} is dated {month.last}, and rex closed {month.label} of demo on " in tried.output
    assert f"`tieout period reopen demo {month.label}`" in tried.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "nowhere"), "no link 'nowhere'"),
        (("begin-closing", LINK, "FY2026-P13", "--by", "ann"), "no period is named 'FY2026-P13'"),
        (("stop-closing", LINK, "FY2026-P03", "--by", "ann"), "begin closing it first"),
        (("reopen", LINK, "FY2026-P03", "--by", "ann", "--reason", "late"), "begin closing it first"),
        (("decide-reopening", "9", "--agree", "--by", "ann"), "there is no reopening 9"),
        (("begin-closing", LINK, "FY2026-P03", "--by", " "), "needs the name"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(command: Command, arguments: tuple[str, ...], words: str) -> None:
    result = command("period", *arguments)
    assert result.exit_code == FATAL and words in result.output
