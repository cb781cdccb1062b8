"""`tieout rollback` and `tieout sweep` as people use them: what is shown is what is approved, by somebody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy.engine import Engine

from tests.support.delivery import TARGET, intent
from tests.support.sandbox import SandboxProcess
from tests.unit.cli.conftest import Command
from tieout.delivery.intents import add
from tieout.scenarios.approval import frozen_intents
from tieout.store import documents, proposals
from tieout.store.documents import Judgement
from tieout.store.proposals import Item, New

RUN = UUID("00000000-0000-4000-8000-000000000001")
VOID = intent(1, "natural.void", kind="void", source_entity="order", currency="GBP", amount_minor=10000)
ITEM = Item(
    "invoice", "v-1", "INV-1", intent(1).doc_uid, "Order", "1", "1", "GBP", 12000, "void", "unpaid",
    "nothing was paid on it: it is voided", "books_invoice", 7, frozen_intents([VOID]),
)  # fmt: skip
REFUSED = replace(ITEM, vendor_id="v-2", vendor_number="INV-2", action="none", why="its period is closed", intents=())


@pytest.fixture
def proposed(engine: Engine) -> int:
    """A proposal on one invoice that was posted, and one that cannot be taken back."""
    with engine.begin() as conn:
        add(conn, [intent(1)], RUN, "test")
        conn.exec_driver_sql("update tieout.intent set state = 'CONFIRMED', vendor_id = 'v-1'")
        conn.exec_driver_sql(
            "create table staging.books_invoice as "
            f"select '{TARGET}' as _connection, 'v-1' as _source_id, 7::bigint as _version"
        )
        judged = Judgement("1", "1", "posted", 3, revision=1, currency="GBP", source_minor=10000)
        documents.upsert(conn, "acme", "order", [judged], RUN)
        new = New("rollback", "acme", TARGET, "wrong prices", "Ann", False, RUN, [ITEM, REFUSED])
        return proposals.propose(conn, new)


def test_a_proposal_is_shown_with_sums_and_hash_and_approved_by_another_person(
    command: Command, engine: Engine, proposed: int
) -> None:
    shown = command("rollback", "show", str(proposed)).output
    for words in ("INV-1", "120.00", "its period is closed", "wrong prices", "proposed by Ann"):
        assert words in shown
    seen = shown.rpartition("hash ")[2].strip()
    assert json.loads(command("rollback", "show", str(proposed), "--json").output)["items_hash"] == seen
    own = command("rollback", "approve", str(proposed), "--by", "Ann", "--hash", seen)
    assert (own.exit_code, "another person" in own.output) == (65, True)
    wrong = command("rollback", "approve", str(proposed), "--by", "Ben", "--hash", "0" * 64)
    assert (wrong.exit_code, "not the hash" in wrong.output) == (65, True)
    assert "1 documents are on their way" in command(
        "rollback", "approve", str(proposed), "--by", "Ben", "--hash", seen[:12]
    ).output  # fmt: skip
    assert "approved before" in command("rollback", "approve", str(proposed), "--by", "Ben", "--hash", seen).output
    assert "READY" in command("rollback", "show", str(proposed)).output
    with engine.connect() as conn:
        (judged,) = documents.waiting(conn, "acme", "order")
        rows = conn.exec_driver_sql("select kind, frozen from tieout.intent order by intent_id").all()
    assert (judged.doc_uid, judged.reason) == (VOID.doc_uid, "rolled_back")
    assert [row.kind for row in rows] == ["invoice", "void"]
    assert (rows[1].frozen["proposal"], rows[1].frozen["at_version"]) == (proposed, 3)
    late = command("rollback", "refuse", str(proposed), "--by", "Cid", "--note", "too late")
    assert (late.exit_code, "is approved by Ben" in late.output) == (65, True)


def test_nothing_is_approved_once_the_ledgers_document_is_another(
    command: Command, engine: Engine, proposed: int
) -> None:
    with engine.begin() as conn:
        conn.exec_driver_sql("update staging.books_invoice set _version = 8")
        found = proposals.get(conn, proposed)
    assert found is not None
    refused = command("rollback", "approve", str(proposed), "--by", "Ben", "--hash", found.items_hash)
    assert (refused.exit_code, "changed in the ledger since" in refused.output) == (65, True)
    assert "refused" in command("rollback", "refuse", str(proposed), "--by", "Ann", "--note", "out of date").output
    listed = command("rollback", "list", "--state", "refused").output
    assert "wrong prices" in listed and "120.00 GBP" in listed
    with engine.connect() as conn:
        assert conn.exec_driver_sql("select count(*) from tieout.intent").scalar_one() == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("propose", "demo", "--by", "Ann", "--reason", "x"), "which documents"),
        (("propose", "demo", "--by", "Ann", "--reason", "x", "--run", "yesterday"), "expected the id of a run"),
        (("show", "9"), "no proposal 9"),
        (("deliver", "9"), "no proposal 9"),
        (("refuse", "9", "--by", "Ann", "--note", "x"), "there is no proposal 9"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(command: Command, arguments: tuple[str, ...], words: str) -> None:
    result = command("rollback", *arguments)
    assert (result.exit_code, words in result.output) == (65, True), result.output


def test_nothing_is_approved_while_a_run_is_at_work_on_the_record(
    command: Command, engine: Engine, proposed: int
) -> None:
    with engine.begin() as conn:
        conn.exec_driver_sql("update tieout.document set outcome = 'pending'")
        found = proposals.get(conn, proposed)
    assert found is not None
    refused = command("rollback", "approve", str(proposed), "--by", "Ben", "--hash", found.items_hash)
    assert (refused.exit_code, "a run is at work on 1" in refused.output) == (65, True)
    with engine.connect() as conn:
        assert conn.exec_driver_sql("select state from tieout.proposal").scalar_one() == "proposed"


@pytest.mark.slow
def test_the_doctor_complains_until_somebody_sweeps(
    command: Command, connect_demo: Callable[..., None], sandbox: SandboxProcess, engine: Engine
) -> None:
    connect_demo(sandbox)
    promise = "duplicates are found within 24 h"
    assert promise not in command("doctor", "demo").output  # nothing was ever posted
    with engine.begin() as conn:
        add(conn, [replace(intent(1), link="demo", target="xero_demo")], RUN, "test")
        conn.exec_driver_sql("update tieout.intent set state = 'CONFIRMED', sends = 1, vendor_id = 'v-1'")
    before = command("doctor", "demo").output
    assert f"{promise}: swept never" in before and "tieout sweep demo" in before
    found = json.loads(command("sweep", "demo", "--json").output)
    assert (found["found"], found["proposal"], found["overdue"]) == (0, None, False)
    assert f"{promise}: swept up to" in command("doctor", "demo").output
    none = command("rollback", "propose", "demo", "--by", "Ann", "--reason", "x", "--document", "INV-9")
    assert (none.exit_code, "no document of this link" in none.output) == (65, True)
