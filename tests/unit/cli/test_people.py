"""Dead letters, aliases, intents and the audit trail from the command line, on a real database."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from tests.support.delivery import intent, plan, run, run_until_settled, states
from tests.support.ledger import MemoryLedger, VirtualClock
from tests.unit.cli.conftest import Command
from tieout.model.errors import Rejection
from tieout.model.staged import StagedEntity, StagedField
from tieout.store import aliases, audit, dead_letters, staging_tables
from tieout.store.staging import stage

ORDERS = StagedEntity(
    system="salesforce", entity="order", object="Order", key="Id", modified=None,
    fields=(StagedField("order_id", "Id", "text"), StagedField("number", "OrderNumber", "text")),
)  # fmt: skip


@pytest.fixture
def letters(engine: Engine) -> list[int]:
    """Open dead letters of two staged orders on the link demo, and one of a product on another."""
    run_id = uuid4()
    with engine.begin() as conn:
        staging_tables.ensure(conn, ORDERS)
    stage(engine, ORDERS, "crm", [[{"Id": f"801{n}", "OrderNumber": str(n)} for n in range(2)]], run_id)
    orders = [
        Rejection("salesforce", "order", f"801{n}", "unknown_currency", "[bold]odd[/bold]", "EUR", "XYZ", "mend it")
        for n in range(2)
    ]
    product = [Rejection("salesforce", "product", "01t1", "no_price", "no price", "a price", "nothing", "add one")]
    with engine.begin() as conn:
        dead_letters.record(conn, orders, connection="crm", stage="check", run_id=run_id, link="demo")
        dead_letters.record(conn, product, connection="crm", stage="transform", run_id=run_id, link="other")
        return [letter.dead_letter_id for letter in dead_letters.listing(conn)]


def test_letters_are_listed_with_what_to_do_and_nothing_is_markup(command: Command, letters: list[int]) -> None:
    shown = command("dead-letters", "list").stdout
    assert shown.count("unknown_currency") == 2 and "no_price" in shown
    assert "[bold]odd[/bold]" in shown and "mend it" in shown


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--link", "demo"], 2), (["--entity", "product"], 1), (["--reason", "no_price"], 1), (["--limit", "1"], 1),
        (["--state", "resolved"], 0),
    ],
)  # fmt: skip
def test_letters_are_chosen(command: Command, letters: list[int], options: list[str], count: int) -> None:
    assert len(json.loads(command("dead-letters", "list", "--json", *options).stdout)) == count


def test_one_letter_is_shown_with_its_record(command: Command, letters: list[int]) -> None:
    shown = json.loads(command("dead-letters", "show", str(letters[0])).stdout)
    assert shown["payload"] == {"Id": "8010", "OrderNumber": "0"}
    assert (shown["expected"], shown["found"]) == ("EUR", "XYZ")


def test_a_letter_that_is_not_there_is_told(command: Command) -> None:
    result = command("dead-letters", "show", "4711")
    assert result.exit_code == 65
    assert "no dead letter 4711" in result.stderr


def test_replayed_records_get_a_new_version_and_the_person_is_kept(
    command: Command, letters: list[int], engine: Engine
) -> None:
    version = text("select _version from staging.salesforce_order where _source_id = '8010'")
    with engine.connect() as conn:
        before = conn.execute(version).scalar_one()
    result = command("dead-letters", "replay", str(letters[0]), "--by", "ann")
    assert result.exit_code == 0 and "1 of 1 will be judged again" in result.stdout
    with engine.connect() as conn:
        assert conn.execute(version).scalar_one() > before
        actors = conn.execute(text("select actor, event, subject from tieout.audit_event")).all()
    assert actors == [("ann", "dead_letter.replayed", f"dead_letter:{letters[0]}")]
    again = command("dead-letters", "replay", str(letters[0]), "--by", "ann")
    assert again.exit_code == 65 and "not open any more" in again.stderr


def test_a_letter_is_resolved_with_a_note(command: Command, letters: list[int], engine: Engine) -> None:
    result = command("dead-letters", "resolve", str(letters[2]), "--by", "ann", "--note", "a test record")
    assert "1 closed" in result.stdout
    with engine.connect() as conn:
        closed = dead_letters.get(conn, letters[2])
        detail = conn.execute(text("select detail from tieout.audit_event")).scalar_one()
    assert closed is not None and (closed.state, closed.closed_by) == ("resolved", "ann")
    assert detail["note"] == "a test record"


def test_an_alias_is_approved_once_and_listed(command: Command, engine: Engine) -> None:
    words = ("alias", "approve", "demo", "product", "GTXPro", "GTX Pro", "--by", "ann")
    assert "approved" in command(*words).stdout
    assert "it was approved before" in command(*words).stdout
    with engine.connect() as conn:
        assert aliases.resolve(conn, "demo", "product") == {"GTXPro": "GTX Pro"}
    assert "GTXPro" in command("alias", "list", "--link", "demo").stdout
    assert "GTXPro" not in command("alias", "list", "--link", "other").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["demo", "order", "a", "b"], "no aliases for 'order'"),
        (["demo", "product", " ", "b"], "must not be empty"),
        (["nowhere", "product", "a", "b"], "no link 'nowhere'"),
    ],
)
def test_an_alias_that_could_never_be_used_is_refused(command: Command, arguments: list[str], words: str) -> None:
    result = command("alias", "approve", *arguments, "--by", "ann")
    assert result.exit_code == 65 and words in result.stderr
    assert "GTX" not in command("alias", "list").stdout


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger(VirtualClock())


def _held(engine: Engine, ledger: MemoryLedger) -> str:
    """The id of an intent that is held because a person took its number."""
    ledger.make("INV-1", b'{"number": "INV-1", "amount": 777}')
    plan(engine, [intent(1)], ledger.clock)
    run_until_settled(engine, ledger)
    assert states(engine) == {"1": "HELD"}
    with engine.connect() as conn:
        return str(conn.execute(text("select intent_id from tieout.intent")).scalar_one())


def test_what_waits_is_listed_and_what_is_settled_is_not(
    command: Command, engine: Engine, ledger: MemoryLedger
) -> None:
    _held(engine, ledger)
    plan(engine, [intent(2)], ledger.clock)
    assert "INV-2" in command("intents", "list", "--state", "READY").stdout
    assert "INV-1" not in command("intents", "list", "--state", "READY").stdout
    run_until_settled(engine, ledger)
    waiting = command("intents", "list").stdout
    assert "INV-1" in waiting and "HELD" in waiting and "INV-2" not in waiting


def test_a_held_document_is_looked_up_again(command: Command, engine: Engine, ledger: MemoryLedger) -> None:
    assert command("intents", "look-up-again", _held(engine, ledger), "--by", "ann").exit_code == 0
    assert states(engine) == {"1": "UNKNOWN"}


def test_a_held_document_is_given_up(command: Command, engine: Engine, ledger: MemoryLedger) -> None:
    held = _held(engine, ledger)
    assert command("intents", "cancel", held, "--by", "ann", "--note", "taken by hand").exit_code == 0
    assert states(engine) == {"1": "CANCELLED"}
    again = command("intents", "cancel", held, "--by", "ann", "--note", "once more")
    assert again.exit_code == 65 and "is CANCELLED" in again.stderr


def test_a_refused_document_is_sent_once_more(command: Command, engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(3, body={"refuse": "validation"})], ledger.clock)
    run_until_settled(engine, ledger)
    assert states(engine) == {"3": "REJECTED"}
    with engine.connect() as conn:
        refused = str(conn.execute(text("select intent_id from tieout.intent")).scalar_one())
    assert command("intents", "try-again", refused, "--by", "ann", "--note", "account made").exit_code == 0
    assert states(engine) == {"3": "READY"}


def test_intents_are_chosen_and_counted(command: Command, engine: Engine, ledger: MemoryLedger) -> None:
    _held(engine, ledger)
    ledger.faults = iter(["lost_answer"])
    plan(engine, [intent(2, owner="bob")], ledger.clock)
    run(engine, ledger)
    chosen = {
        options: [each["number"] for each in json.loads(command("intents", "list", "--json", *options).stdout)]
        for options in ((), ("--owner", "bob"), ("--target", "books"), ("--link", "nowhere"), ("--state", "UNKNOWN"),
                        ("--reason", "number_taken"), ("--limit", "1"))
    }  # fmt: skip
    assert list(chosen.values()) == [
        ["INV-1", "INV-2"], ["INV-2"], ["INV-1", "INV-2"], [], ["INV-2"], ["INV-1"], ["INV-1"],
    ]  # fmt: skip
    numbers = json.loads(command("intents", "counts", "--json").stdout)
    assert [(each["state"], each["count"], each["amount_minor"]) for each in numbers["standings"]] == [
        ("UNKNOWN", 1, 1000), ("HELD", 1, 1000),
    ]  # fmt: skip
    assert {each["owner"] for each in numbers["owners"]} == {"finance", "bob"}
    assert "10.00" in command("intents", "counts").stdout
    wrong = command("intents", "list", "--state", "held")
    assert wrong.exit_code == 65 and "expected one of READY" in wrong.stderr


def test_one_intent_is_shown_with_what_was_tried(command: Command, engine: Engine, ledger: MemoryLedger) -> None:
    shown = json.loads(command("intents", "show", _held(engine, ledger)).stdout)
    assert shown["state"] == "HELD" and shown["candidates"] == [ledger.documents[0].vendor_id]
    assert shown["posting_date"] == "2026-03-01"
    assert [each["outcome"] for each in shown["attempts"]] == ["refused", "found_different"]
    assert [each["detail"].get("to") for each in shown["history"]][-1] == "HELD"
    assert command("intents", "show", "4711").exit_code == 65


def test_the_found_document_is_accepted(command: Command, engine: Engine, ledger: MemoryLedger) -> None:
    held = _held(engine, ledger)
    assert command("intents", "accept", held, "--by", "ann", "--note", "the same").exit_code == 0
    assert states(engine) == {"1": "CONFIRMED"}
    with engine.connect() as conn:
        crossed = conn.execute(text("select vendor_id, decided_by from tieout.crosswalk")).one()
    assert crossed == (ledger.documents[0].vendor_id, "ann")


def test_which_document_is_accepted_has_to_be_clear(command: Command, engine: Engine, ledger: MemoryLedger) -> None:
    plan(engine, [intent(3)], ledger.clock)
    unclear = command("intents", "accept", "1", "--by", "ann")
    assert unclear.exit_code == 65 and "--vendor-id" in unclear.stderr
    not_held = command("intents", "accept", "1", "--by", "ann", "--vendor-id", "v-1")
    assert not_held.exit_code == 65 and "is READY" in not_held.stderr
    assert states(engine) == {"3": "READY"}


def test_a_held_document_is_given_to_somebody(command: Command, engine: Engine, ledger: MemoryLedger) -> None:
    held = _held(engine, ledger)
    assert "it is sales's" in command("intents", "assign", held, "sales", "--by", "ann").stdout
    assert json.loads(command("intents", "list", "--json", "--owner", "sales").stdout)[0]["number"] == "INV-1"
    assert command("intents", "assign", held, " ", "--by", "ann").exit_code == 65


def test_a_whole_audit_trail_is_said_to_be_whole(command: Command, letters: list[int]) -> None:
    command("dead-letters", "resolve", str(letters[0]), "--by", "ann", "--note", "x")
    result = command("audit", "verify")
    assert result.exit_code == 0 and "every chain is whole" in result.stdout and "link:demo" in result.stdout


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("update tieout.audit_event set actor = 'nobody' where seq = 1", "event 1: its hash does not fit"),
        ("delete from tieout.audit_event where seq = 3", "the head says 3 events, 2 are there"),
        ("delete from tieout.audit_event where seq = 2", "event 2 is missing"),
        ("delete from tieout.audit_head", "the chain has events and no head"),
    ],
)
def test_a_changed_audit_trail_is_found(command: Command, engine: Engine, change: str, words: str) -> None:
    with engine.begin() as conn:
        audit.append(conn, "link:demo", [audit.Event("ann", "alias.approved", f"alias:{n}") for n in range(3)])
    with engine.begin() as conn:
        # Whoever may do this to the database could; the hashes tell.
        conn.execute(text("set local session_replication_role = replica"))
        conn.execute(text(change))
    result = command("audit", "verify")
    assert result.exit_code == 65
    assert "link:demo" in result.stderr and words in result.stderr
