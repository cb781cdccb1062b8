"""What a vendor's webhooks lead to: each delivery has one end, each record is read once, and the books follow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from tests.scenarios.format import FOLDER, Given, read_exact
from tests.scenarios.world import World, services_of
from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.sandbox import SandboxProcess
from tieout.model.errors import AuthenticationFailed, RateLimited, Retriable
from tieout.model.link import Link
from tieout.scenarios import hooks_inbox, quote_to_cash, steps
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.scenarios.services import Services
from tieout.store import hooks, runs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proves(
        "each delivery has one end, each record is read once, whatever order events come in",
        scenario="webhooks",
        pair=("salesforce", "xero"),
        systems=("xero",),
    ),
]

TENANT = "5d1f9e0c-7a54-4f6e-9a51-0c0ffee00001"
GIVEN: dict[str, Any] = {
    "story": "One order, billed.", "today": "2026-03-31",
    "crm": {
        "accounts": [{"name": "Acme Ltd", "city": "Leeds", "country": "United Kingdom"}],
        "orders": [{"order": "A", "account": "Acme Ltd", "date": "2026-03-01",
                    "lines": [{"product": "CHAIR", "quantity": 2, "price": Decimal("50.00")}]}],
    },
}  # fmt: skip
READS = {"system": "xero", "method": "GET", "path": "/api.xro/2.0/Invoices*"}


class Inbox:
    """A ledger with one invoice, and what comes into its inbox. No CRM is asked anything."""

    def __init__(self, sandbox: SandboxProcess, engine: Engine) -> None:
        self.sandbox, self.engine = sandbox, engine
        self.link = Link.model_validate(read_exact(FOLDER / "link.yaml"))
        self.crm, self.ledger = crm_connection(sandbox, self.link.crm), ledger_connection(sandbox, self.link.ledger)
        self.hand = LedgerHand(self.ledger)
        made = self.hand.invoice("H-1", {"Name": "Acme Ltd"}, Decimal(100), date(2026, 3, 1), "GBP", "OUTPUT2")
        self.invoice_id, self.contact_id = made["InvoiceID"], made["Contact"]["ContactID"]

    @contextmanager
    def services(self, password: str = "sandbox-secret") -> Iterator[Services]:
        with services_of(self.link, self.crm, replace(self.ledger, password=password), self.engine) as services:
            yield services

    def tell(self, *events: dict[str, Any], account: str | None = TENANT, more: str = "") -> None:
        self.tell_bytes(json.dumps({"events": events, "entropy": more or uuid4().hex}).encode(), account)

    def tell_bytes(self, body: bytes, account: str | None = TENANT) -> None:
        with self.engine.begin() as conn:
            hooks.keep(conn, "ledger", body, {}, account=account)

    def about(self, record_id: str | None = None, category: str = "INVOICE", tenant: str = TENANT) -> dict[str, Any]:
        return {"resourceId": record_id or self.invoice_id, "eventCategory": category, "eventType": "UPDATE",
                "tenantId": tenant}  # fmt: skip

    def read(self) -> dict[str, Any]:
        with self.services() as services:
            return hooks_inbox.read(services)

    def ends(self) -> list[tuple[str, str | None]]:
        """State and message of each row, in the order in which they came."""
        with self.engine.connect() as conn:
            return [(one.state, one.message) for one in reversed(hooks.listing(conn, states=()))]

    def staged(self) -> list[tuple[Any, ...]]:
        """Version and what is due of each invoice."""
        with self.engine.connect() as conn:
            rows = conn.execute(sa.text("select _version, amount_due, _deleted from staging.xero_invoice"))
            return [tuple(row) for row in rows]

    def pay(self, amount: str) -> None:
        self.hand.pay(self.invoice_id, Decimal(amount), date(2026, 3, 20))


@pytest.fixture
def inbox(sandbox: SandboxProcess, engine: Engine) -> Iterator[Inbox]:
    made = Inbox(sandbox, engine)
    yield made
    made.hand.close()


def test_a_noticed_payment_is_staged_at_once_and_the_next_run_shows_it_in_the_crm(
    sandbox: SandboxProcess, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (quote_to_cash, steps):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    world = World(Given.model_validate(GIVEN), sandbox, engine)
    world.begin()
    world.run()
    invoice_id = world._open_invoice("A")["InvoiceID"]
    world.hand.pay(invoice_id, Decimal("30.00"), date(2026, 3, 20))
    event = {"resourceId": invoice_id, "eventCategory": "INVOICE", "eventType": "UPDATE", "tenantId": TENANT}
    with engine.begin() as conn:
        hooks.keep(conn, "ledger", json.dumps({"events": [event]}).encode(), {}, account=TENANT)
    with services_of(world.link, world._crm, world._ledger, engine) as services:
        numbers = hooks_inbox.read(services)
        assert {name: numbers[name] for name in ("rows", "read", "records", "gone")} == {
            "rows": 1, "read": 1, "records": 1, "gone": 0,
        }  # fmt: skip
        with engine.connect() as conn:
            assert conn.execute(sa.text("select amount_due from staging.xero_invoice")).scalar() == Decimal("90.00")
        quote_to_cash.run(services)
        assert hooks_inbox.read(services) == {"rows": 0, "forgotten": 0, "forgotten_unread": 0}
    (order,) = world.crm.rows("Order", ("Tieout_Amount_Paid__c",))
    assert order["Tieout_Amount_Paid__c"] == Decimal("30.00")
    with engine.connect() as conn:
        (run,) = runs.latest(conn, world.link.name, hooks_inbox.NAME)
    assert (run.state, run.counts, run.steps["read"]["numbers"]["read"]) == ("succeeded", {}, 1)
    world.close()


def test_a_storm_of_notices_of_one_record_is_one_read(inbox: Inbox) -> None:
    storm = sa.text(
        "insert into tieout.hook_inbox (connection, body, digest) select 'ledger', convert_to(:body, 'UTF8'), number "
        "from generate_series(1, 10000) as number"
    )
    with inbox.engine.begin() as conn:
        conn.execute(storm, {"body": json.dumps({"events": [inbox.about()]})})
    inbox.sandbox.faults({**READS, "fault": "slow", "probability": 0})
    numbers = inbox.read()
    assert (numbers["rows"], numbers["read"], numbers["records"]) == (10_000, 10_000, 1)
    rules = httpx.get(f"{inbox.sandbox.url}/_sandbox/faults").json()["rules"]
    assert [rule["matches"] for rule in rules] == [1]


def test_events_out_of_order_and_repeated_for_days_leave_what_is_true_now(inbox: Inbox) -> None:
    inbox.tell(inbox.about())
    inbox.read()
    before = inbox.staged()
    older, newer = inbox.about() | {"eventDateUtc": "2026-03-01"}, inbox.about() | {"eventDateUtc": "2026-03-20"}
    inbox.pay("30.00")
    inbox.tell(newer, more="1")
    inbox.read()
    paid = inbox.staged()
    assert paid != before
    inbox.tell(older, more="2")
    inbox.tell(newer, more="1")
    numbers = inbox.read()
    assert numbers["rows"] == 1, "what was read already is not read again because it is repeated"
    assert inbox.staged() == paid, "an unchanged record gets no new version, so nothing is judged"


def test_what_is_of_no_use_is_ignored_with_the_reason(inbox: Inbox) -> None:
    inbox.tell()
    inbox.tell(inbox.about(tenant="a0a0a0a0-0000-4000-8000-000000000001"))
    inbox.tell(inbox.about(category="SUBSCRIPTION"), inbox.about(category="SUBSCRIPTION"))
    inbox.tell(inbox.about("../Contacts"))
    inbox.tell(inbox.about(), inbox.about("nonsense"))
    numbers = inbox.read()
    assert (numbers["ignored"], numbers["read"], numbers["records"]) == (4, 1, 1)
    assert inbox.ends() == [
        ("ignored", "no events: the vendor tried the address"),
        ("ignored", "an event is of another account of the vendor"),
        (
            "ignored",
            "2 of its events: is of SUBSCRIPTION, which ledger does not stage by itself: the runs read what they need",
        ),
        ("ignored", "an event has no id of a record"),
        ("read", "an event has no id of a record"),
    ]


def test_a_record_that_is_gone_is_read_and_nothing_is_marked_as_deleted_by_a_hint(inbox: Inbox) -> None:
    inbox.tell(inbox.about())
    inbox.read()
    httpx.delete(f"{inbox.sandbox.url}/xero/_sandbox/raw/Invoices/{inbox.invoice_id}").raise_for_status()
    inbox.tell(inbox.about(), inbox.about("a0a0a0a0-0000-4000-8000-000000000002"))
    numbers = inbox.read()
    assert (numbers["read"], numbers["records"], numbers["gone"]) == (1, 2, 2)
    assert inbox.ends()[1:] == [("read", "2 of its records are not there (any more)")]
    assert [deleted for _, _, deleted in inbox.staged()] == [False]


def test_what_cannot_be_read_as_the_vendors_has_failed_at_once_and_hinders_nothing(inbox: Inbox) -> None:
    inbox.tell_bytes(b"no json of Mr Secret")
    inbox.tell(inbox.about())
    numbers = inbox.read()
    assert (numbers["failed"], numbers["read"]) == (1, 1)
    (bad, good) = inbox.ends()
    assert bad == ("failed", "unreadable: the body is not JSON (line 1, column 1)") and good[0] == "read"
    with inbox.engine.connect() as conn:
        (run,) = runs.latest(conn, inbox.link.name, hooks_inbox.NAME)
    assert run.state == "partial"


def test_a_vendor_that_is_away_is_asked_again_and_at_last_a_person_sees_it(inbox: Inbox) -> None:
    inbox.sandbox.faults({**READS, "fault": "error_500"})
    inbox.tell(inbox.about())
    inbox.tell(inbox.about(inbox.contact_id, "CONTACT"))
    for state in ("waiting", "failed"):
        with pytest.raises(Retriable):
            inbox.read()
        first, contact = inbox.ends()
        assert contact == ("read", None), "what can be read is read"
        assert first[0] == state
        assert inbox.read()["rows"] == 0, "it waits for its time"
        with inbox.engine.begin() as conn:
            later = "update tieout.hook_inbox set not_before = now(), attempts = :tried where state = 'waiting'"
            conn.execute(sa.text(later), {"tried": hooks_inbox.MOST_ATTEMPTS - 1})
    assert (first[1] or "").startswith("given up after 8 attempts: ")
    inbox.sandbox.faults()
    with inbox.engine.begin() as conn:
        (failed,) = hooks.listing(conn, ["ledger"], ["failed"])
        assert hooks.retry(conn, [failed.hook_id], by="Olga") == 1
    assert inbox.read()["read"] == 1


def test_a_limit_is_no_attempt_and_says_when_to_come_back(inbox: Inbox) -> None:
    inbox.sandbox.faults({**READS, "fault": "status_429", "params": {"which": "day", "retry_after": 4000}})
    inbox.tell(inbox.about())
    with pytest.raises(RateLimited):
        inbox.read()
    with inbox.engine.connect() as conn:
        (row,) = hooks.listing(conn, ["ledger"])
    assert (row.state, row.attempts) == ("waiting", 0)
    assert row.not_before is not None and (row.not_before - row.received_at).total_seconds() > 3000


def test_credentials_that_are_refused_are_told_and_the_rows_wait(inbox: Inbox) -> None:
    inbox.tell(inbox.about())
    with inbox.services(password="wrong") as services, pytest.raises(AuthenticationFailed):
        hooks_inbox.read(services)
    ((state, message),) = inbox.ends()
    assert state == "waiting" and "AuthenticationFailed" in (message or "") and "wrong" not in (message or "")


def test_what_is_too_old_is_forgotten_by_the_reading(inbox: Inbox) -> None:
    inbox.tell(inbox.about())
    inbox.read()
    inbox.tell(inbox.about())
    with inbox.engine.begin() as conn:
        conn.execute(sa.text("update tieout.hook_inbox set received_at = received_at - interval '31 days'"))
    assert inbox.read() == {"rows": 0, "forgotten": 2, "forgotten_unread": 1}
    assert inbox.ends() == []
