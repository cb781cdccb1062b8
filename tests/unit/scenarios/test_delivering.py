"""Delivery into a ledger that limits calls: pace, the end of the day, urgent work; the real sandbox and store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from tests.support.crm_ledger import ledger_connection
from tests.support.delivery import rows
from tests.support.sandbox import SandboxProcess
from tieout.connectors.oauth import TokenShelf
from tieout.connectors.outside import Outside
from tieout.connectors.registry import allowance, connect
from tieout.delivery.gate import SharedGate
from tieout.delivery.intents import NewIntent, add
from tieout.model.errors import RateLimited
from tieout.model.identity import doc_uid, idempotency_key
from tieout.model.settings import load_settings
from tieout.scenarios.delivering import deliver_side, require_no_limit
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.scenarios.services import Services, Side, find_link

TARGET = "xero_demo"


def customer(number: int, priority: int = 0) -> NewIntent:
    uid = doc_uid("demo", "crm", "Account", str(number), "customer", 1)
    return NewIntent(
        link="demo", target=TARGET, doc_uid=uid, kind="customer", operation="contacts.create", revision=1,
        source="crm", source_object="Account", source_id=str(number), natural_key=f"C-{number}",
        idempotency_key=idempotency_key(uid, TARGET, "contacts.create"), entity="account", priority=priority,
        body=json.dumps({"Name": f"Customer {number}", "ContactNumber": f"C-{number}"}).encode(),
        source_system="salesforce", source_entity="account",
    )  # fmt: skip


def plan(engine: Engine, intents: list[NewIntent]) -> None:
    with engine.begin() as conn:
        add(conn, intents, uuid4(), "test")


@contextmanager
def services(engine: Engine, sandbox: SandboxProcess) -> Iterator[Services]:
    """The ledger's side as `open_services` makes it; the CRM is not used."""
    settings = load_settings()
    connection = ledger_connection(sandbox, TARGET)
    gate = SharedGate(engine, TARGET, allowance(connection))
    opener = partial(connect, connection, Outside(gate=gate, shelf=TokenShelf()))
    with ExitStack() as stack:
        connector = opener()
        stack.callback(connector.close)
        side = Side(TARGET, "xero", connector, {}, connection.host, opener, gate)
        yield Services(settings, engine, find_link(settings, "demo"), side, side, "test")


def deliver(opened: Services) -> dict[str, Any]:
    return deliver_side(opened, opened.ledger, uuid4(), "test", 0.0)


def contacts(sandbox: SandboxProcess) -> list[str]:
    with LedgerHand(ledger_connection(sandbox)) as hand:
        return sorted(str(one["ContactNumber"]) for one in hand.all("Contacts"))


def test_a_crew_posts_each_document_once_within_the_limits(engine: Engine, sandbox: SandboxProcess) -> None:
    plan(engine, [customer(n) for n in range(900)])
    with services(engine, sandbox) as opened:
        numbers = deliver(opened)
    assert numbers["outcomes"] == {"applied": 900} and numbers["goes_on_in"] is None
    assert rows(engine, "select total_refused, cardinality(slots) as slots from tieout.pace") == [
        {"total_refused": 0, "slots": 0}
    ]
    assert len(set(contacts(sandbox))) == len(contacts(sandbox)) == 900


def test_the_end_of_the_day_is_handed_up_and_the_rest_is_posted_once_when_it_is_over(
    engine: Engine, sandbox: SandboxProcess
) -> None:
    sandbox.settings("xero", limits={"day": 253})  # 250 of 5,000 are kept for urgent work
    plan(engine, [customer(n) for n in range(300)])
    with services(engine, sandbox) as opened:
        numbers = deliver(opened)
        posted = numbers["outcomes"]["applied"]
        assert posted in (150, 200), "3 calls, and one more that was under way"
        with pytest.raises(RateLimited, match=r"xero_demo: the vendor asked to wait; 1[05]0 documents wait") as caught:
            require_no_limit(opened.ledger, numbers)
        assert 3500 < caught.value.retry_after <= 3600

        plan(engine, [customer(1000, priority=1)])
        before = rows(engine, "select total_calls from tieout.pace")[0]["total_calls"]
        urgent = deliver(opened)
        assert contacts(sandbox).count("C-1000") == 1, "urgent work has what was kept for it"
        calls = rows(engine, "select total_calls from tieout.pace")[0]["total_calls"]
        # Its call has room for 49 others; they go along where a worker had given them back before the day was over.
        assert calls == before + 1
        posted += urgent["outcomes"]["applied"] - 1
        assert deliver(opened)["goes_on_in"] > 3500
        assert rows(engine, "select total_calls from tieout.pace")[0]["total_calls"] == calls, "nothing was called"

    sandbox.settings("xero", limits={"day": 5000})
    with engine.begin() as conn:  # an hour later
        conn.exec_driver_sql("update tieout.pace set day_heard_at = day_heard_at - interval '1 hour'")
        conn.exec_driver_sql("update tieout.intent set not_before = null where state = 'READY'")
    with services(engine, sandbox) as opened:
        numbers = deliver(opened)
    assert numbers["goes_on_in"] is None and numbers["outcomes"]["applied"] == 300 - posted
    assert contacts(sandbox) == sorted([*(f"C-{n}" for n in range(300)), "C-1000"])


def test_a_limit_that_others_used_up_is_met_once(engine: Engine, sandbox: SandboxProcess) -> None:
    sandbox.settings("xero", limits={"minute": 1})
    plan(engine, [customer(n) for n in range(300)])
    with services(engine, sandbox) as opened:
        numbers = deliver(opened)
    refused = rows(engine, "select total_refused from tieout.pace")[0]["total_refused"]
    assert refused == 0, "the answers say what is left: nobody runs into it again and again"
    assert numbers["outcomes"]["applied"] == 50 and numbers["goes_on_in"] is not None


def test_the_owners_cap_is_kept(engine: Engine, sandbox: SandboxProcess) -> None:
    plan(engine, [customer(n) for n in range(300)])
    with services(engine, sandbox) as opened:
        gate = opened.ledger.gate
        assert gate is not None
        connection = ledger_connection(sandbox, TARGET)
        capped = type(connection)(
            TARGET, "xero", connection.host, connection.login, connection.password,
            {**connection.extra, "calls_per_day": 3},
        )  # fmt: skip
        gate.allowance = allowance(capped)
        numbers = deliver(opened)
    assert numbers["outcomes"]["applied"] == 100, "2 of 3: one is kept for urgent work"
    assert numbers["goes_on_in"] is not None and numbers["goes_on_in"] <= 86_400
