"""Credit under what goes wrong: an edit in the CRM, a lost answer, a balance read half, old data, a race."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from tests.scenarios.format import Given
from tests.scenarios.world import World, services_of
from tests.support.sandbox import SandboxProcess
from tieout.model.errors import Retriable
from tieout.scenarios import credit_sync, quote_to_cash, steps
from tieout.scenarios.credit import gate, proposing, releasing
from tieout.scenarios.extraction import extract_side
from tieout.store import audit, credit, credit_positions, dead_letters, runs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proves(
        "edits in the CRM, lost answers, old data and races leave the right balances",
        scenario="credit_sync",
        pair=("salesforce", "xero"),
    ),
]
ADDRESS = {"street": "1 High Street", "city": "Leeds", "postcode": "LS1 4DY", "country": "United Kingdom"}


def order(name: str, day: int, chairs: int) -> dict[str, Any]:
    lines = [{"product": "CHAIR", "quantity": chairs, "price": "50.00"}]
    return {"order": name, "account": "Acme Ltd", "date": date(2025, 3, day), "lines": lines}


GIVEN = Given.model_validate({
    "story": "Acme owes 120 pounds of 500.", "today": date(2025, 3, 31), "runs": ["quote_to_cash", "credit_sync"],
    "link": {"policies": {"credit": "hold"}},
    "credit_limits": [{"customer": "Acme Ltd", "currency": "GBP", "limit": "500.00"}],
    "crm": {"accounts": [{"name": "Acme Ltd", **ADDRESS}],
            "orders": [order("A-1", 10, 2), {**order("A-2", 11, 4), "activated": False},
                       {**order("A-3", 12, 7), "activated": False}]},
})  # fmt: skip


@pytest.fixture
def world(sandbox: SandboxProcess, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for module in (credit_sync, quote_to_cash, steps):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    made = World(GIVEN, sandbox, engine)
    made.begin()
    made.run()
    yield made
    made.close()


def shown(world: World) -> dict[str, Any]:
    fields = ["Tieout_Open_Balance__c", "Tieout_Available_Credit__c"]
    (row,) = world.crm.rows("Account", fields)
    return {"open": row[fields[0]], "available": row[fields[1]]}


def writes(world: World) -> list[tuple[int, str]]:
    """(revision, state) of each write of the account's credit."""
    with world.engine.connect() as conn:
        rows = conn.execute(text("select revision, state from tieout.intent where kind = 'credit' order by revision"))
        return [(row.revision, row.state) for row in rows]


def judged(world: World, object_: str) -> list[tuple[str, str | None]]:
    with world.engine.connect() as conn:
        rows = conn.execute(
            text("select outcome, reason from tieout.document where object = :object order by source_number"),
            {"object": object_},
        )
        return [(row.outcome, row.reason) for row in rows]


def sync(world: World) -> dict[str, Any]:
    """Credit-sync alone."""
    with services_of(world.link, world._crm, world._ledger, world.engine) as services:
        return credit_sync.run(services)


def later(world: World) -> None:
    """An hour goes by for what waits."""
    with world.engine.begin() as conn:
        conn.execute(text("update tieout.intent set not_before = not_before - interval '1 hour', "
                          "sent_at = sent_at - interval '1 hour' where state = 'UNKNOWN'"))  # fmt: skip


def test_the_crm_is_told_once_corrected_and_told_again_after_a_lost_answer(
    world: World, sandbox: SandboxProcess
) -> None:
    assert shown(world) == {"open": 120, "available": 380} and writes(world) == [(1, "CONFIRMED")]
    again = sync(world)
    assert (again["read"], again["posted"], again["unchanged"]) == (1, 0, 1)
    assert again["amounts"] == {"GBP": {"read": 12000, "unchanged": 12000}} and len(writes(world)) == 1

    # Somebody types more credit into the CRM: finance's figure comes back, and both are in the audit trail.
    world._update("Account", {"Id": world.ids["account:Acme Ltd"], "Tieout_Available_Credit__c": 99999})
    sync(world)
    assert shown(world) == {"open": 120, "available": 380} and len(writes(world)) == 2
    with world.engine.connect() as conn:
        detail = conn.execute(
            text("select detail from tieout.audit_event where event = 'master.overwrote'")
        ).scalar_one()
        assert detail["fields"] == {"available_minor": {"master": 38000, "overwritten": 9999900}}
        assert audit.verify(conn, f"link:{world.link.name}") is None

    # The answer to the next write is lost after it was applied: it is looked up, not sent as another.
    world.hand.pay(world._open_invoice("A-1")["InvoiceID"], Decimal("20.00"), date(2025, 3, 20))
    sandbox.faults({"fault": "lost_answer", "system": "salesforce", "method": "PATCH", "times": 1})
    lost = sync(world)
    assert (lost["in_flight"], lost["posted"]) == (1, 0) and writes(world)[-1] == (3, "UNKNOWN")
    later(world)
    found = sync(world)
    assert (found["in_flight"], found["posted"]) == (0, 1) and writes(world)[-1] == (3, "CONFIRMED")
    assert shown(world) == {"open": 100, "available": 400} and len(writes(world)) == 3

    # A payment was read and its invoice not yet: nothing is said of this balance until both are.
    world.hand.pay(world._open_invoice("A-1")["InvoiceID"], Decimal("50.00"), date(2025, 3, 21))
    with services_of(world.link, world._crm, world._ledger, world.engine) as services:
        run_id = credit_sync.start(services)
        extract_side(services, services.ledger, UUID(run_id), ["payment"])
        credit_sync.transform(services, run_id)
    assert judged(world, "credit") == [("held", "stale_balance")] and len(writes(world)) == 3
    sync(world)
    assert judged(world, "credit") == [("posted", None)] and shown(world) == {"open": 50, "available": 450}


def test_a_credit_that_was_read_before_it_was_set_against_an_invoice_is_not_counted_twice(world: World) -> None:
    contact = world._open_invoice("A-1")["Contact"]["ContactID"]
    money = world.hand.receive("overpayment", contact, Decimal("30.00"), date(2025, 3, 20))
    sync(world)
    assert shown(world) == {"open": 90, "available": 410}
    for amount in ("10.00", "20.00"):
        invoice = world._open_invoice("A-1")["InvoiceID"]
        world.hand.set_against("Overpayments", money, invoice, Decimal(amount), date(2025, 3, 21))
        with services_of(world.link, world._crm, world._ledger, world.engine) as services:
            run_id = credit_sync.start(services)
            extract_side(services, services.ledger, UUID(run_id), ["invoice"])
            credit_sync.transform(services, run_id)
        # The invoice is lowered already and all of the overpayment is left, as it seems: that would be too low.
        assert judged(world, "credit") == [("held", "stale_balance")]
        sync(world)
        assert judged(world, "credit") == [("posted", None)] and shown(world) == {"open": 90, "available": 410}


def test_the_gate_holds_what_it_cannot_be_sure_of_and_two_runs_do_not_share_the_room(
    world: World, engine: Engine, tmp_path: Any
) -> None:
    world._update("Order", {"Id": world.ids["order:A-2"], "Status": "Activated"})
    world._update("Order", {"Id": world.ids["order:A-3"], "Status": "Activated"})
    with services_of(world.link, world._crm, world._ledger, world.engine) as services:
        run_id = quote_to_cash.start(services)
        quote_to_cash.extract(services, run_id)
        quote_to_cash.check(services, run_id)
        _age(engine, "- interval '25 hours'")
        quote_to_cash.transform(services, run_id)
        held = [("posted", None), ("held", "credit_data_stale"), ("held", "credit_data_stale")]
        assert judged(world, "order") == held
        _age(engine, "+ interval '25 hours'")
        quote_to_cash.transform(services, run_id)
        # 120 + 240 of 500; the 420 of A-3 do not fit.
        assert judged(world, "order")[1:] == [("pending", None), ("held", "credit_exceeded")]
        # Another run that looked at the same customer before this one planned A-2 may not go on.
        looked = gate.Passed((world.ids["account:Acme Ltd"],), frozenset())
        with engine.begin() as conn, pytest.raises(Retriable, match="another run billed"):
            gate.keep(conn, services, looked, {})
        with engine.begin() as conn:
            done = releasing.release(conn, world.ids["order:A-3"], "Ann", "prepaid by cheque")
        assert (done.currency, done.amount_minor) == ("GBP", 35000)
        quote_to_cash.transform(services, run_id)
        assert judged(world, "order")[2] == ("pending", None)
        file = tmp_path / "limits.csv"
        file.write_text("customer,currency,limit,valid_from,shares_with\nAcme Ltd,GBP,500.00,2020-01-01,\n"
                        "Acme Ltd,GBP,900.00,2021-01-01,\n")  # fmt: skip
        made = proposing.propose_file(engine, services.settings, world.link, file, "Ann")
        assert (made.proposed, made.unchanged, made.refusals) == (1, 1, ())
        file.write_text("customer,currency,limit,valid_from,shares_with\nNobody,GBP,5,2020-01-01,\n")
        refused = proposing.propose_file(engine, services.settings, world.link, file, "Ann")
        assert [(one.line, one.reason) for one in refused.refusals] == [(2, "unknown_customer")]


def test_with_fails_open_doubt_lets_through_and_off_looks_at_nothing(world: World, engine: Engine) -> None:
    world._update("Order", {"Id": world.ids["order:A-2"], "Status": "Activated"})
    open_ = world.link.policies.model_copy(update={"credit_fails": "open"})
    with services_of(world.link.model_copy(update={"policies": open_}), world._crm, world._ledger, engine) as services:
        run_id = quote_to_cash.start(services)
        quote_to_cash.extract(services, run_id)
        quote_to_cash.check(services, run_id)
        _age(engine, "- interval '25 hours'")
        quote_to_cash.transform(services, run_id)
        assert judged(world, "order")[1] == ("pending", None)
    world._update("Order", {"Id": world.ids["order:A-3"], "Status": "Activated"})
    off = world.link.policies.model_copy(update={"credit": "off"})
    with services_of(world.link.model_copy(update={"policies": off}), world._crm, world._ledger, engine) as services:
        run_id = quote_to_cash.start(services)
        quote_to_cash.extract(services, run_id)
        quote_to_cash.transform(services, run_id)
        assert judged(world, "order")[2] == ("pending", None)


def test_a_new_customer_has_all_of_its_credit_and_a_change_of_its_currency_is_told(
    world: World, engine: Engine
) -> None:
    (made,) = world.crm.insert("Account", [{"Name": "New Ltd", "CurrencyIsoCode": "JPY"}])
    assert made.id is not None
    with engine.begin() as conn:
        limit = credit.Limit(made.id, date(2020, 1, 1), "JPY", 50_000)
        change = credit.propose(conn, world.link.name, [limit], "Ann", "x")
        credit.decide(conn, change, "Bob", approved=True)
    world.hand.invoice("MAN-9", {"Name": "Nobody in the CRM"}, Decimal("42.00"), date(2025, 3, 20))
    done = sync(world)
    assert (done["read"], done["posted"], done["unchanged"]) == (2, 1, 1)
    with engine.connect() as conn:
        (last,) = runs.latest(conn, world.link.name, "credit_sync")
    assert last.steps["transform"]["numbers"]["unmatched"] == 1
    fields = ["Tieout_Credit_Limit__c", "Tieout_Available_Credit__c", "Tieout_Credit_Currency__c"]
    row = next(row for row in world.crm.rows("Account", fields) if row["Id"] == made.id)
    assert [row[name] for name in fields] == [50_000, 50_000, "JPY"]
    # Sales gives the account another currency: its limit says nothing any more, and a person is told.
    world.crm.update("Account", [{"Id": made.id, "CurrencyIsoCode": "EUR"}])
    assert sync(world)["held"] == 1
    assert judged(world, "credit") == [("posted", None), ("held", "limit_in_other_currency")]
    with engine.connect() as conn:
        (acme, new), count = credit_positions.listing(conn, world.link.name)
    assert count == 2 and (acme.open_minor, acme.available_minor) == (12000, 38000)
    assert (new.open_minor, new.reason) == (None, "limit_in_other_currency")


RULE = """<?xml version="1.0" encoding="UTF-8"?>
<ValidationRule xmlns="http://soap.sforce.com/2006/04/metadata">
    <fullName>Nobody_Edits</fullName><active>{}</active>
    <errorConditionFormula>NOT(ISBLANK(Name))</errorConditionFormula><errorMessage>Accounts are frozen</errorMessage>
</ValidationRule>"""


def test_a_write_that_the_crm_refuses_waits_and_goes_on_when_its_dead_letter_is_replayed(
    world: World, engine: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "rule.xml"
    file.write_text(RULE.format("true"))
    world.doors.validation_rule("Account", file)
    world.hand.pay(world._open_invoice("A-1")["InvoiceID"], Decimal("20.00"), date(2025, 3, 20))
    for _ in range(2):
        assert sync(world)["held"] == 1
        assert writes(world) == [(1, "CONFIRMED"), (2, "REJECTED")], "it is not sent again by itself"
    with engine.connect() as conn:
        (letter,) = dead_letters.listing(conn, dead_letters.Filter(entity="credit"))
        known = credit_positions.get(conn, world.link.name, world.ids["account:Acme Ltd"])
    assert letter.stage == "deliver" and "Accounts are frozen" in letter.message
    assert known is not None and known.open_minor == 10000, "finance knows, whatever the CRM takes"
    file.write_text(RULE.format("false"))
    world.doors.validation_rule("Account", file)
    with engine.begin() as conn:
        assert dead_letters.replay(conn, [letter.dead_letter_id], "Ann") == 1
    assert sync(world)["posted"] == 1
    assert writes(world)[1:] == [(2, "REJECTED"), (3, "CONFIRMED")]
    assert shown(world) == {"open": 100, "available": 400}
    with engine.connect() as conn:
        assert dead_letters.listing(conn, dead_letters.Filter(entity="credit")) == []
        assert audit.verify(conn, f"link:{world.link.name}") is None


def _age(engine: Engine, by: str) -> None:
    with engine.begin() as conn:
        conn.execute(text(f"update tieout.watermark set at = at {by} where kind = 'extract' and entity = 'invoice'"))
