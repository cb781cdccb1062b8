"""A credit is paid back where the ledger has a document of its own for it: once, under faults and after a kill.

The customer owes nothing, the bank has paid, the credit is used up, CRM and ledger tie out, and so does the control
account.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.proofs.company import QUICK
from tests.proofs.pairs import CRMS, LEDGERS, QuickBooks, _Books
from tests.proofs.test_pairs import AREAS, LINKS, Pair, _items
from tests.support.days import today
from tests.support.sandbox import SandboxProcess
from tieout.mapping.load import load_link
from tieout.model.settings import PROJECT
from tieout.scenarios import credit_sync, product_sync, quote_to_cash, returns
from tieout.scenarios.crm_load import KEY_FIELD
from tieout.scenarios.crm_loaders import open_crm
from tieout.scenarios.load_csv import load_folder
from tieout.scenarios.periods.control import subledger
from tieout.store.engine import connect

pytestmark = pytest.mark.long
BOTH = [("salesforce", "quickbooks"), ("hubspot", "quickbooks")]
BANK = "Checking"
PATIENCE = 60.0
ZERO = Decimal(0)
BATCH = {"system": "quickbooks", "method": "POST", "path": "*/batch"}


@pytest.fixture
def pair(request: pytest.FixtureRequest, sandbox: SandboxProcess, database_url: str, made_up_folder: Path,
         monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:  # fmt: skip
    """A CRM (`request.param`) and QuickBooks, with the made-up company's orders billed; what is open is paid back."""
    monkeypatch.setattr(returns, "PATIENCE_SECONDS", 0.0)
    crm_system = getattr(request, "param", "salesforce")
    link = load_link(LINKS / f"northwind_{crm_system}_quickbooks.yaml")
    paying = link.returns.model_copy(update={"of_paid": "refund", "refund_account": BANK})
    crm, ledger = CRMS[crm_system], LEDGERS["quickbooks"]
    connections = crm.connection(sandbox, link.crm), ledger.connection(sandbox, link.ledger)
    crm.prepare(sandbox, connections[0])
    load_folder(connections[0], made_up_folder, crm.profile)
    ledger.prepare(sandbox, connections[1], _items(made_up_folder))
    quick = [replace(one, extra={**one.extra, **QUICK}) for one in connections]
    made = Pair(crm, ledger, link.model_copy(update={"returns": paying}), *quick, connect(database_url))
    try:
        made.run()
        assert len(made.invoices()) == 120, made.reasons()
        yield made
    finally:
        made.engine.dispose()


def hand(pair: Pair) -> _Books:
    assert isinstance(pair.ledger, QuickBooks)
    return _Books(pair.ledger_connection)


def all_of(pair: Pair, name: str, where: str = "") -> list[Mapping[str, Any]]:
    with hand(pair) as books:
        return list(books.query(name, where))


def pay(pair: Pair, order: str, less: str = "0") -> Decimal:
    """The customer pays its invoice, less an amount. Gives what was paid."""
    (invoice,) = (one for one in pair.invoices() if one.reference == order)
    amount = invoice.net - Decimal(less)
    pair.ledger.pay(pair.ledger_connection, invoice, amount, today(pair.link).isoformat())
    return amount


def send_back(pair: Pair, folder: Path, *orders: str) -> dict[str, Decimal]:
    """A line without a discount of each order comes back. Order -> its credit."""
    lines = {}
    for row in (folder / "order-details.csv").read_text("utf-8").splitlines()[1:]:
        order, product, price, quantity, discount = row.split(",")
        if discount == "0":
            lines[order] = (product, Decimal(quantity), Decimal(price) * Decimal(quantity))
    for order in orders:
        pair.crm.send_back(pair.crm_connection, order, *lines[order][:2])
    return {order: lines[order][2] for order in orders}


def run(pair: Pair) -> Mapping[str, Any]:
    with pair.services() as services:
        return returns.run(services)


def later(pair: Pair) -> None:
    """Leases and quiet periods are over."""
    with pair.engine.begin() as conn:
        conn.execute(sa.text(
            "update tieout.intent set lease_until = lease_until - interval '1 hour', "
            "not_before = not_before - interval '1 hour', sent_at = sent_at - interval '1 hour'"
        ))  # fmt: skip


def assert_paid_back(pair: Pair, wanted: Sequence[Decimal]) -> None:
    """Each once, nothing open, the customers owe their open invoices alone, and the bank has paid it."""
    out = all_of(pair, "Purchase")
    assert sorted(Decimal(one["TotalAmt"]) for one in out) == sorted(wanted)
    assert len({one["PrivateNote"] for one in out}) == len(out)
    assert {one["AccountRef"]["name"] for one in out} == {BANK}
    assert not [one for one in all_of(pair, "CreditMemo") if one["RemainingCredit"]]
    linked = [one for one in all_of(pair, "Payment") if any(
        link["TxnType"] == "Expense" for line in one["Line"] for link in line["LinkedTxn"]
    )]  # fmt: skip
    assert len(linked) == len(wanted) and {one["TotalAmt"] for one in linked} == {0}
    due: dict[str, Decimal] = {}
    for one in all_of(pair, "Invoice"):
        due[one["CustomerRef"]["value"]] = due.get(one["CustomerRef"]["value"], ZERO) + Decimal(one["Balance"])
    assert {one["Id"]: Decimal(one["Balance"]) for one in all_of(pair, "Customer") if one["Id"] in due} == due
    with pair.services() as services:
        day = date(2999, 12, 31)
        control = services.ledger.connector.receivables(day).amount  # type: ignore[attr-defined]  # a GeneralLedger
        assert control == sum(due.values(), ZERO)
        assert sum(subledger(services, day).values()) == control * 100


@pytest.mark.parametrize("pair", ["salesforce", "hubspot"], indirect=True)
@pytest.mark.proves("what a return leaves open is paid back once", scenario="returns", pairs=BOTH, ties_out=True)
def test_what_a_return_leaves_open_is_paid_back_once_and_ties_out(pair: Pair, made_up_folder: Path) -> None:
    pay(pair, "12")
    pay(pair, "20", less="1.00")
    credited = send_back(pair, made_up_folder, "12", "20", "30")
    pair.run()
    for _ in range(2):
        numbers = run(pair)
    assert (numbers["posted"] + numbers["unchanged"], numbers["held"]) == (3, 0), pair.reasons()
    wanted = [credited["12"], credited["20"] - Decimal("1.00")]
    assert_paid_back(pair, wanted)
    sent = pair.sends()
    assert run(pair)["unchanged"] == 3 and pair.sends() == sent
    with pair.services() as services:
        quote_to_cash.run(services)
    found = pair.reconcile(*AREAS)
    assert not found, found[:5]
    with pair.engine.connect() as conn:
        kinds = conn.execute(sa.text(
            "select kind, operation, count(*) from tieout.intent where operation like 'refunds.%' group by 1, 2"
        )).all()  # fmt: skip
    assert sorted(map(tuple, kinds)) == [("allocation", "refunds.apply", 2), ("refund", "refunds.create", 2)]


def give_back(pair: Pair, memo: Mapping[str, Any], amount: Decimal, day: str, number: str) -> None:
    """Finance pays back of a credit memo by hand: an expense on accounts receivable, then a payment of nought."""
    customer = memo["CustomerRef"]
    with hand(pair) as books:
        accounts = {one["Name"]: {"value": one["Id"]} for one in books.query("Account")}
        books.create("Purchase", [
            {"PaymentType": "Cash", "AccountRef": accounts["Savings"], "DocNumber": number, "TxnDate": day,
             "EntityRef": {**customer, "type": "Customer"}, "Line": [
                 {"Amount": amount, "DetailType": "AccountBasedExpenseLineDetail",
                  "AccountBasedExpenseLineDetail": {"AccountRef": accounts["Accounts Receivable (A/R)"]}}]}
        ])  # fmt: skip
        (out,) = books.query("Purchase", f"where DocNumber = '{number}'")
        links = [(out["Id"], "Expense"), (memo["Id"], "CreditMemo")]
        books.create("Payment", [
            {"CustomerRef": customer, "TotalAmt": 0, "TxnDate": day, "Line": [
                {"Amount": amount, "LinkedTxn": [{"TxnId": id_, "TxnType": kind}]} for id_, kind in links]}
        ])  # fmt: skip


def bank_is(pair: Pair, *, active: bool) -> None:
    """The account that refunds come from is made inactive, or active again."""
    (account,) = all_of(pair, "Account", f"where Name = '{BANK}' and Active in (true, false)")
    with hand(pair) as books:
        books.update("Account", {"Id": account["Id"], "SyncToken": account["SyncToken"], "sparse": True,
                                 "Name": BANK, "Active": active})  # fmt: skip


def test_what_finance_pays_back_itself_shows_in_the_crm_and_is_not_paid_again(pair: Pair, made_up_folder: Path) -> None:
    paid, back = pay(pair, "12"), pay(pair, "20")
    with open_crm(pair.crm_connection) as crm:
        ids = {row[KEY_FIELD]: row["Id"] for row in crm.rows("Order", [KEY_FIELD])}
        (saved,) = crm.update("Order", [{"Id": ids["northwind:order:12"], "Status": "Cancelled"}])
        assert saved.id, saved.error
    pair.run()
    (memo,) = all_of(pair, "CreditMemo")
    assert memo["RemainingCredit"] == paid
    for number, part, day in (("C1", paid - 1, "2026-03-24"), ("C2", Decimal(1), "2026-03-26")):
        give_back(pair, memo, part, day, number)
    # A return waits, for its refund has no account to come from; meanwhile finance pays it back.
    credited = send_back(pair, made_up_folder, "20")["20"]
    bank_is(pair, active=False)
    assert run(pair)["held"] == 1
    (memo,) = (one for one in all_of(pair, "CreditMemo") if one["RemainingCredit"])
    give_back(pair, memo, credited, "2026-03-27", "C3")
    bank_is(pair, active=True)
    for _ in range(2):
        numbers = run(pair)
    assert (numbers["posted"] + numbers["unchanged"], numbers["held"]) == (1, 0)
    assert len(all_of(pair, "Purchase")) == 3 and credited <= back
    with hand(pair) as books:
        (bank,) = books.query("Account", "where Name = 'Savings'")
        detail = {"ItemRef": {"value": "1"}, "Qty": 1, "UnitPrice": Decimal("7.25"), "TaxCodeRef": {"value": "NON"}}
        line = {"Amount": Decimal("7.25"), "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": detail}
        books.create("RefundReceipt", [
            {"CustomerRef": memo["CustomerRef"], "DocNumber": "RR-1", "TxnDate": "2026-03-28", "Line": [line],
             "DepositToAccountRef": {"value": bank["Id"]}}
        ])  # fmt: skip
    with pair.services() as services:
        quote_to_cash.run(services)
        credit_sync.run(services)
        product_sync.run(services)
    with open_crm(pair.crm_connection) as crm:
        rows = crm.rows("Order", [KEY_FIELD, "Tieout_Refunded__c", "Tieout_Refunded_On__c"])
        shown = {row[KEY_FIELD]: row for row in rows}["northwind:order:12"]
    assert (shown["Tieout_Refunded__c"], shown["Tieout_Refunded_On__c"]) == (paid, "2026-03-26")
    # What went back without a credit memo is no record's of the CRM: a break that says so. And the order that was
    # cancelled and credited as a whole is listed, with nothing of it left.
    found = sorted((one["area"], one["class"], one["amount"]) for one in pair.reconcile(*AREAS))
    assert found == [("invoices", "voided_or_deleted", 0), ("payments", "unapplied_cash", 725)]


@pytest.mark.parametrize("fault", ["lost_answer", "item_missing"])
def test_what_is_not_known_is_looked_up_and_nothing_is_paid_twice(
    pair: Pair, made_up_folder: Path, sandbox: SandboxProcess, fault: str
) -> None:
    orders = [str(n) for n in range(9, 27) if n % 3 != 1]
    for order in orders:
        pay(pair, order)
    credited = send_back(pair, made_up_folder, *orders)
    pair.run()
    # The first batch of each: credit memos, what is paid back of them, what sets this against them.
    sandbox.faults({**BATCH, "fault": fault, "probability": 1, "times": 3})
    for _ in range(6):
        numbers = run(pair)
        later(pair)
    assert len(sandbox.hits()) == 3
    with pair.engine.connect() as conn:
        looked_up = set(conn.execute(sa.text(
            "select i.operation from tieout.attempt a join tieout.intent i using (intent_id) where a.kind = 'look_up' "
            "and i.sends > 0"
        )).scalars())  # fmt: skip
    assert {"credit_notes.create", "refunds.create", "refunds.apply"} <= looked_up
    sandbox.faults()
    assert (numbers["unchanged"], numbers["held"], numbers["in_flight"]) == (len(orders), 0, 0), pair.reasons()
    assert_paid_back(pair, list(credited.values()))


@pytest.mark.parametrize("before", ["refunds.create", "refunds.apply"])
def test_a_delivery_that_is_killed_pays_back_once(
    pair: Pair, made_up_folder: Path, sandbox: SandboxProcess, tmp_path: Path, before: str
) -> None:
    orders = [str(n) for n in range(9, 18) if n % 3 != 1]
    for order in orders:
        pay(pair, order)
    credited = send_back(pair, made_up_folder, *orders)
    pair.run()
    with pair.services() as services:
        run_id = returns.start(services)
        for step in ("extract", "check", "transform"):
            getattr(returns, step)(services, run_id)
    # Applied half a second after it was taken: by then the worker is dead, and nobody got an answer.
    sandbox.faults({**BATCH, "fault": "slow", "params": {"seconds": 0.5}})
    link = tmp_path / f"{pair.link.name}.yaml"
    link.write_text(pair.link.model_copy(update={"calendar": "calendar_months"}).model_dump_json())
    words = [str(pair.engine.url.render_as_string(hide_password=False)), sandbox.url, str(link), run_id, "deliver"]
    path = os.pathsep.join([str(PROJECT / "plugins"), str(PROJECT)])
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.proofs.steps", *words, "returns"], cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    try:
        _until_sent(pair, before, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
    time.sleep(1)
    sandbox.faults()
    with pair.services() as services:  # the same run goes on, as Airflow's retry does it
        for _ in range(4):
            later(pair)
            returns.deliver(services, run_id)
        returns.write_back(services, run_id)
        numbers = returns.summarise(services, run_id)
    assert (numbers["posted"], numbers["held"], numbers["in_flight"]) == (len(orders), 0, 0), pair.reasons()
    assert_paid_back(pair, list(credited.values()))


def _until_sent(pair: Pair, operation: str, process: subprocess.Popen[bytes]) -> None:
    """Waits until bytes of this operation have left, and no answer has come."""
    end = time.monotonic() + PATIENCE
    query = sa.text("select count(*) from tieout.intent where operation = :operation and state = 'IN_FLIGHT'")
    while True:
        with pair.engine.connect() as conn:
            if conn.execute(query, {"operation": operation}).scalar_one():
                time.sleep(0.2)  # the call is on the wire
                return
        assert process.poll() is None, "the worker was done before it could be killed"
        assert time.monotonic() < end, "the worker never came that far"
        time.sleep(0.01)
