"""`tieout credit` as finance uses it: a file, another person's approval, a release; and every way to be refused."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.engine import Engine

from tests.unit.cli.conftest import Command
from tieout.mapping.load import load_system
from tieout.model.settings import PROJECT
from tieout.scenarios.trace import trace
from tieout.store import documents, staging
from tieout.store.documents import Judgement

RUN = UUID("00000000-0000-4000-8000-000000000001")
ACME, LEEDS = "001000000000001AAA", "001000000000002AAA"
HEADER = "customer,currency,limit,valid_from,shares_with\n"


@pytest.fixture
def accounts(engine: Engine) -> None:
    """Two accounts of the demo's CRM, as an extract stages them."""
    entity = load_system(PROJECT / "include" / "mappings", "salesforce")["credit"].staged_entity()
    with engine.begin() as conn:
        staging.ensure(conn, entity)
    records = [
        {"Id": ACME, "Name": "Acme Ltd", "AccountNumber": "A-100", "CurrencyIsoCode": "GBP", "ParentId": None},
        {"Id": LEEDS, "Name": "Acme Leeds", "AccountNumber": None, "CurrencyIsoCode": "GBP", "ParentId": ACME},
    ]
    records = [{**one, "SystemModstamp": "2026-01-01T00:00:00.000+0000"} for one in records]
    staging.stage(engine, entity, "salesforce_demo", [records], RUN)


def write(home: Path, *lines: str) -> str:
    file = home / "limits.csv"
    file.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8-sig")
    return str(file)


@pytest.mark.usefixtures("accounts")
def test_a_file_is_proposed_by_one_and_approved_by_another(command: Command, engine: Engine, home: Path) -> None:
    file = write(home, "A-100,GBP,10000.00,2026-01-01,", "Acme Leeds,,,2026-01-01,Acme Ltd")
    made = command("credit", "import", "demo", file, "--by", "Ann")
    assert made.exit_code == 0 and "2 limits proposed, 0 in force already" in made.output
    (change,) = json.loads(command("credit", "list", "--link", "demo", "--json").output)
    number = str(change["change_id"])
    assert [one["limit_minor"] for one in change["limits"]] == [1_000_000, None]
    own = command("credit", "approve", number, "--by", "ann")
    assert (own.exit_code, "another person" in own.output) == (65, True)
    assert "2 limits are approved" in command("credit", "approve", number, "--by", "Bob").output
    shown = command("credit", "list").output
    assert "10,000.00" in shown and f"as {ACME}" in shown and "Bob" in shown
    again = command("credit", "import", "demo", file, "--by", "Ann")
    assert "nothing changes: all 2 limits are in force already" in again.output
    refused = command("credit", "refuse", number, "--by", "Cy", "--note", "late")
    assert (refused.exit_code, "approved by Bob" in refused.output) == (65, True)
    steps = [step.title for step in trace(engine, ACME) if step.step == "credit limit"]
    assert steps == ["limit from 2026-01-01 by Ann: approved"]


@pytest.mark.usefixtures("accounts")
def test_one_bad_line_refuses_the_file_and_says_which(command: Command, home: Path) -> None:
    file = write(home, "A-100,GBP,10000.00,2026-01-01,", "Acme Leeds,GBP,-1,2026-01-01,", "Nobody,GBP,1,2026-01-01,")
    made = command("credit", "import", "demo", file, "--by", "Ann")
    assert made.exit_code == 65
    for words in ("nothing was taken", "negative_limit", "unknown_customer", "2 lines are refused"):
        assert words in made.output
    assert json.loads(command("credit", "list", "--json").output) == []
    missing = command("credit", "import", "demo", str(home / "none.csv"), "--by", "Ann")
    assert (missing.exit_code, "cannot be read" in missing.output) == (65, True)


def test_before_the_first_sync_there_is_nobody_to_give_a_limit_to(command: Command, home: Path) -> None:
    made = command("credit", "import", "demo", write(home, "A-100,GBP,1,2026-01-01,"), "--by", "Ann")
    assert (made.exit_code, "run `tieout credit-sync demo` once" in made.output) == (65, True)


def test_a_release_names_one_order_that_is_held_for_its_credit(command: Command, engine: Engine) -> None:
    def held(link: str, source_id: str, reason: str) -> None:
        judged = Judgement(source_id, "00000007", "held", 3, reason=reason, currency="GBP", source_minor=123456)
        with engine.begin() as conn:
            documents.upsert(conn, link, "order", [judged], RUN)

    def release(*more: str) -> tuple[int, str]:
        made = command("credit", "release", "00000007", "--by", "Ann", "--note", "prepaid", *more)
        return made.exit_code, made.output

    held("demo", "801A", "unknown_product")
    assert release()[0] == 65, "it waits for something else"
    held("demo", "801A", "credit_exceeded")
    held("other", "801B", "credit_exceeded")
    code, words = release()
    assert code == 65 and "2 are: demo 801A, other 801B" in words
    code, words = release("--link", "demo")
    assert code == 0 and "1,234.56 GBP before tax is released" in words
    assert release("--link", "demo")[0] == 65, "once is enough"
    assert [step.title for step in trace(engine, "801A") if step.step == "credit release"] == ["released by Ann"]
    assert command("audit", "verify").exit_code == 0
