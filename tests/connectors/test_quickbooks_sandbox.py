"""QuickBooks' connector against the sandbox, over real HTTP: documents from creation to void, what comes back,
refusals, SyncTokens, deletions, limits, tokens that rotate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import httpx
import pytest
from sqlalchemy.engine import Engine

from tests.connectors.wires import item
from tests.support.sandbox import ROOT, SandboxProcess
from tieout.connectors import exact_json
from tieout.connectors.base import Answer
from tieout.connectors.oauth import MemoryRefresh, TokenShelf
from tieout.connectors.outside import Outside
from tieout.connectors.quickbooks.connector import QuickBooksConnector
from tieout.connectors.requirements import Required
from tieout.delivery.refresh import StoredRefresh
from tieout.mapping.load import load_system
from tieout.model.connection import Connection
from tieout.model.errors import AuthenticationFailed, Fatal, RateLimited
from tieout.model.staged import StagedEntity

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proves(
        "documents from creation to void, batches sent again, SyncTokens, limits, a token that rotates",
        scenario="connector",
        systems=("quickbooks",),
    ),
]
US, GB = "4620816365", "4620816366"
FAR = datetime(2100, 1, 1, tzinfo=UTC)


def entities() -> dict[str, StagedEntity]:
    mappings = load_system(ROOT / "include" / "mappings", "quickbooks")
    return {name: mapping.staged_entity() for name, mapping in mappings.items() if mapping.is_staged}


ENTITIES = entities()


def connection(sandbox: SandboxProcess, realm: str = GB) -> Connection:
    extra = {"realm_id": realm, "refresh_token": "sandbox-refresh", "allowed_hosts": "127.0.0.1"}
    return Connection("books", "quickbooks", f"{sandbox.url}/quickbooks", "sandbox-client", "sandbox-secret", extra)


class Books:
    """A company with what its tests need, and the hand of finance in it."""

    def __init__(self, sandbox: SandboxProcess, realm: str, refresh: MemoryRefresh) -> None:
        self.sandbox = sandbox
        self.numbers = count()
        self.connection = connection(sandbox, realm)
        self.shelf = TokenShelf(refresh=refresh)
        self.connector = QuickBooksConnector(self.connection, Outside(shelf=self.shelf))
        self.currency, self.tax = ("GBP", "2") if realm == GB else ("USD", "NON")
        self.api = f"{self.connection.host}/v3/company/{realm}"
        income = next(one for one in self.read("Account") if one["Name"] == "Sales")
        given = {"Name": "Tea", "Sku": "TEA", "Type": "Service", "IncomeAccountRef": {"value": income["Id"]}}
        self.item = self.hand("item", given)["Item"]["Id"]

    def read(self, obj: str) -> list[dict[str, Any]]:
        entity = StagedEntity("quickbooks", "x", obj, "Id", "MetaData.LastUpdatedTime", ())
        pages = self.connector.changed(entity, None, FAR)
        return [dict(record) for page in pages for record in page.records]

    def hand(self, path: str, body: dict[str, Any], **params: str) -> dict[str, Any]:
        """What finance does, past the connector."""
        token = self.connector._session.raw.tokens.current().value
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json"}
        reply = httpx.post(
            f"{self.api}/{path}", params={"minorversion": "75", **params}, headers=headers,
            content=exact_json.dumps(body), timeout=30,
        )  # fmt: skip
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = exact_json.loads(reply.content)
        return found

    def send(self, name: str, *bodies: dict[str, Any]) -> list[Answer]:
        operation = self.connector.operation(name)
        return list(self.connector.send(operation, [item(next(self.numbers), name, body) for body in bodies]))

    def done(self, name: str, body: dict[str, Any]) -> str:
        (answer,) = self.send(name, body)
        assert answer.outcome == "applied" and answer.vendor_id, (answer.outcome, answer.reason, answer.message)
        return answer.vendor_id

    def customer(self, name: str = "Ann Ltd") -> str:
        return self.done("contacts.create", {"DisplayName": name})

    def line(self, net: str = "100.00", **more: Any) -> dict[str, Any]:
        return {
            "DetailType": "SalesItemLineDetail", "Description": "Tee 🍵", "Amount": Decimal(net),
            "SalesItemLineDetail": {
                "ItemRef": {"value": self.item}, "Qty": Decimal("2"), "UnitPrice": Decimal(net) / 2,
                "TaxCodeRef": {"value": self.tax},
            },
            **more,
        }  # fmt: skip

    def document(self, customer: str, number: str, net: str = "100.00", **more: Any) -> dict[str, Any]:
        return {
            "DocNumber": number, "CustomerRef": {"value": customer}, "TxnDate": "2026-05-01",
            "CurrencyRef": {"value": self.currency}, "GlobalTaxCalculation": "TaxExcluded", "Line": [self.line(net)],
            **more,
        }  # fmt: skip

    def one(self, entity: str, id_: str) -> dict[str, Any]:
        (found,) = [dict(r) for page in self.connector.fetch(ENTITIES[entity], [id_]) for r in page.records]
        return found


@pytest.fixture
def make(sandbox: SandboxProcess) -> Iterator[Callable[..., Books]]:
    made: list[Books] = []
    refresh = MemoryRefresh()
    # Finance's hand does not keep to the connector's pace.
    sandbox.settings("quickbooks", limits={"second": 1000})

    def one(realm: str = GB) -> Books:
        made.append(Books(sandbox, realm, refresh))
        return made[-1]

    yield one
    for books in made:
        books.connector.close()


def application(customer: str, invoice: str, memo: str, amount: str, currency: str = "GBP") -> dict[str, Any]:
    lines = [
        {"Amount": Decimal(amount), "LinkedTxn": [{"TxnId": id_, "TxnType": kind}]}
        for id_, kind in ((invoice, "Invoice"), (memo, "CreditMemo"))
    ]
    head = {"CustomerRef": {"value": customer}, "TotalAmt": 0, "TxnDate": "2026-05-03"}
    return {**head, "CurrencyRef": {"value": currency}, "Line": lines}


def test_every_mapped_entity_is_read_whole_since_and_by_id(make: Callable[..., Books]) -> None:
    for realm in (US, GB):
        books = make(realm)
        customer = books.customer()
        books.done("invoices.create", books.document(customer, "I-1"))
        for entity in ENTITIES.values():
            records = [r for page in books.connector.changed(entity, None, FAR) for r in page.records]
            assert all(record[entity.key] for record in records), entity.object
            ids = [str(record[entity.key]) for record in records]
            again = [r for page in books.connector.fetch(entity, ids) for r in page.records]
            assert {r[entity.key] for r in again} == {r[entity.key] for r in records}, entity.object
            if entity.modified:
                late = books.connector.changed(entity, FAR - timedelta(days=1), FAR)
                assert [record for page in late for record in page.records] == []
        company = books.one("organisation", realm)
        assert company["HomeCurrency"] == books.currency
        codes = {one["Id"]: one.get("SalesRate") for one in books.read("TaxCode")}
        assert {"TAX", "NON"} <= codes.keys() if realm == US else codes["2"] == 20


def test_a_document_from_its_creation_to_its_void(make: Callable[..., Books]) -> None:
    books = make()
    customer = books.customer()
    invoice = books.done("invoices.create", books.document(customer, "I-1", PrivateNote="https://crm/801"))
    assert (
        books.connector.look_up(
            books.connector.operation("invoices.create"),
            [item(0, "invoices.create", books.document(customer, "I-1", PrivateNote="https://crm/801"))],
        )["doc-0"][0].differences
        == ()
    )
    assert (books.one("invoice", invoice)["TotalAmt"], books.one("invoice", invoice)["Standing"]) == (120, "open")
    memo = books.done("credit_notes.create", books.document(customer, "C-1", "20.00", PrivateNote="tieout:uid"))
    body = application(customer, invoice, memo, "24.00")
    applied = books.done("credit_notes.allocate", body)
    (found,) = books.connector.look_up(
        books.connector.operation("credit_notes.allocate"), [item(0, "credit_notes.allocate", body)]
    )["doc-0"]
    assert (found.vendor_id, found.differences) == (applied, ())
    paid = books.hand("payment", {
        "CustomerRef": {"value": customer}, "TotalAmt": Decimal("100.00"), "TxnDate": "2026-05-09",
        "Line": [{"Amount": Decimal("96.00"), "LinkedTxn": [{"TxnId": invoice, "TxnType": "Invoice"}]}],
    })["Payment"]["Id"]  # fmt: skip
    settled = books.one("invoice", invoice)
    assert (settled["Balance"], settled["Credited"], settled["Paid"]) == (0, 24, 96)
    assert (settled["Standing"], settled["PaidOn"]) == ("settled", "2026-05-09")
    note = books.one("credit_memo", memo)
    assert [(one["InvoiceId"], one["Amount"]) for one in note["Allocations"]] == [(invoice, 24)]
    assert note["Standing"] == "settled" and books.one("payment", applied)["Kind"] == "application"
    money = books.one("payment", paid)
    assert (money["Applications"], money["UnappliedStanding"]) == ([{"InvoiceId": invoice, "Amount": 96}], "open")
    assert books.connector.receivables(date(2026, 12, 31)).amount == -4
    assert books.connector.receivables(date(2026, 5, 1)).amount == 96
    books.done("payments.void", {"Id": paid})
    books.done("payments.void", {"Id": applied})
    books.done("credit_notes.void", {"Id": memo})
    books.done("invoices.void", {"Id": invoice})
    gone = books.one("invoice", invoice)
    assert (gone["Standing"], gone["TotalAmt"], gone["Note"]) == ("void", 0, "https://crm/801")
    assert books.one("payment", paid)["Standing"] == "void"
    now = datetime.now(UTC)
    told = books.connector.deleted(ENTITIES["credit_memo"], now - timedelta(hours=1), now + timedelta(minutes=1))
    assert [id_ for some in told for id_ in some] == [memo]
    with pytest.raises(Fatal, match="30 days"):
        list(books.connector.deleted(ENTITIES["credit_memo"], now - timedelta(days=31), now))
    assert books.connector.receivables(date(2026, 12, 31)).amount == 0


def test_refusals_have_our_reasons_and_each_item_its_own(make: Callable[..., Books]) -> None:
    books = make()
    customer = books.customer()
    books.done("invoices.create", books.document(customer, "I-1"))
    wrong = books.document(customer, "I-5")
    wrong["Line"][0]["Amount"] = Decimal("99.00")
    answers = books.send(
        "invoices.create",
        books.document(customer, "I-1"),
        books.document(customer, "I-2"),
        books.document("99999", "I-3"),
        books.document(customer, "I-4", Line=[]),
        wrong,
    )
    assert [one.outcome for one in answers] == ["refused", "applied", "refused", "refused", "refused"]
    reasons = [one.reason for one in answers]
    assert reasons[0] == "duplicate_number" and reasons[2] == "contact_not_found"
    assert reasons[3] == "missing_field" and reasons[4] == "total_mismatch"
    assert [one.reason for one in books.send("contacts.create", {"DisplayName": "Ann Ltd"})] == ["duplicate_name"]
    books.sandbox.settings("quickbooks", companies={GB: {"book_close_date": "2026-05-31"}})
    assert [one.reason for one in books.send("invoices.create", books.document(customer, "I-9"))] == ["period_locked"]
    assert books.one("organisation", GB)["BookCloseDate"] == "2026-05-31"


def test_an_update_reads_its_sync_token_and_repeats_what_somebody_was_faster_than(make: Callable[..., Books]) -> None:
    books = make()
    customer = books.customer()
    books.hand("customer", {"Id": customer, "SyncToken": "0", "sparse": True, "GivenName": "Bo"})
    assert [one.outcome for one in books.send("contacts.update", {"Id": customer, "FamilyName": "Lee"})] == ["applied"]
    changed = books.one("account", customer)
    assert (changed["GivenName"], changed["FamilyName"]) == ("Bo", "Lee")
    assert [one.reason for one in books.send("contacts.update", {"Id": "99999", "FamilyName": "Lee"})] == ["not_found"]
    session, asked = books.connector._session, books.connector._session.once

    def overtaken(*given: Any) -> Any:
        answer = asked(*given)
        token = str(answer[1][0]["SyncToken"])
        books.hand("customer", {"Id": customer, "SyncToken": token, "sparse": True, "GivenName": "Cy"})
        return answer

    session.once = overtaken  # type: ignore[method-assign]  # somebody saves between our reading and our writing
    (late,) = books.send("contacts.update", {"Id": customer, "FamilyName": "May"})
    assert (late.outcome, late.reason) == ("throttled", "stale")
    session.once = asked  # type: ignore[method-assign]
    assert [one.outcome for one in books.send("contacts.update", {"Id": customer, "FamilyName": "May"})] == ["applied"]
    changed = books.one("account", customer)
    assert (changed["GivenName"], changed["FamilyName"]) == ("Cy", "May")


def test_the_same_batch_again_makes_nothing_new(make: Callable[..., Books]) -> None:
    books = make()
    customer = books.customer()
    bodies = [books.document(customer, f"C-{n}", PrivateNote=f"tieout:{n}") for n in range(3)]
    operation = books.connector.operation("credit_notes.create")
    requests = [item(n, operation.name, body) for n, body in enumerate(bodies)]
    first, again = (books.connector.send(operation, requests) for _ in range(2))
    assert [one.vendor_id for one in first] == [one.vendor_id for one in again]
    assert len(books.read("CreditMemo")) == 3


def test_a_lost_answer_is_uncertain_and_the_look_up_finds_the_document(make: Callable[..., Books]) -> None:
    books = make()
    customer = books.customer()
    rule = {"system": "quickbooks", "method": "POST", "path": "*/batch", "fault": "lost_answer", "times": 1}
    books.sandbox.faults(rule)
    body = books.document(customer, "I-1")
    (answer,) = books.send("invoices.create", body)
    assert answer.outcome == "uncertain"
    found = books.connector.look_up(books.connector.operation("invoices.create"), [item(0, "invoices.create", body)])
    assert [one.differences for one in found["doc-0"]] == [()]


def test_the_minutes_allowance_hands_writes_back_and_stops_reads(make: Callable[..., Books]) -> None:
    books = make()
    customer = books.customer()
    books.sandbox.settings("quickbooks", limits={"minute": 1})
    books.send("invoices.create", books.document(customer, "I-1"))
    (answer,) = books.send("invoices.create", books.document(customer, "I-2"))
    assert answer.outcome == "throttled" and (answer.retry_after or 0) > 0
    fresh = QuickBooksConnector(books.connection, Outside(shelf=books.shelf))
    http = fresh._session.raw.http
    http.limits = replace(http.limits, longest_wait=1.0)
    with pytest.raises(RateLimited, match="ThrottleExceeded"):
        list(fresh.changed(ENTITIES["invoice"], None, FAR))
    fresh.close()


def test_connectors_at_once_share_a_token_that_rotates(engine: Engine, sandbox: SandboxProcess) -> None:
    sandbox.settings("quickbooks", limits={"second": 1000})

    def ask(_: int) -> str:
        conn = connection(sandbox)
        connector = QuickBooksConnector(conn, Outside(shelf=TokenShelf(refresh=StoredRefresh(engine, conn))))
        try:
            (company,) = [r for page in connector.changed(ENTITIES["organisation"], None, FAR) for r in page.records]
            return str(company["HomeCurrency"])
        finally:
            connector.close()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ask, range(8))) == {"GBP"}
    lost = QuickBooksConnector(connection(sandbox), Outside(shelf=TokenShelf(refresh=MemoryRefresh())))
    with pytest.raises(AuthenticationFailed, match="join the app again"):
        list(lost.changed(ENTITIES["organisation"], None, FAR))  # the first token was used long ago
    lost.close()


def test_a_token_that_ends_in_the_middle_is_replaced(make: Callable[..., Books]) -> None:
    books = make()
    customer = books.customer()
    token = books.shelf.token
    httpx.post(
        f"{books.connection.host}/v2/oauth2/tokens/revoke", auth=("sandbox-client", "sandbox-secret"),
        json={"token": token.value if token else ""}, timeout=30,
    ).raise_for_status()  # fmt: skip
    books.done("invoices.create", books.document(customer, "I-1"))
    assert books.shelf.token is not token


def test_findings_name_what_is_missing(make: Callable[..., Books]) -> None:
    books = make()
    assert all(one.ok for one in books.connector.findings() if "credits that are applied" not in one.what)
    books.sandbox.settings("quickbooks", companies={GB: {"custom_txn_numbers": False}})
    codes = frozenset({"2", "77"})
    needs = Required(currencies=frozenset({"GBP", "XTS"}), tax_types=codes, accounts=frozenset({"Sales"}))
    wrong = " ".join(one.what for one in books.connector.findings(needs) if not one.ok)
    assert "custom transaction numbers: off" in wrong and "XTS" in wrong and "77" in wrong and "Sales" not in wrong


def test_more_records_than_a_page_that_were_made_within_seconds(make: Callable[..., Books]) -> None:
    books = make()
    books.sandbox.settings("quickbooks", limits={"minute": 100_000, "second": 1000, "batch_minute": 1000})
    free = {**books.connection.extra, "calls_per_minute": 0, "calls_per_second": 0}
    books.connector = QuickBooksConnector(replace(books.connection, extra=free), Outside(shelf=books.shelf))
    made: set[str] = set()
    for start in range(0, 2400, 30):
        answers = books.send(
            "contacts.create", *({"DisplayName": f"Kunde Ü {n:05d}"} for n in range(start, start + 30))
        )
        made |= {str(one.vendor_id) for one in answers}
    calls = books.connector.counters.calls
    got = [record["Id"] for page in books.connector.changed(ENTITIES["account"], None, FAR) for record in page.records]
    assert len(got) == len(set(got)) == 2400 and set(got) == made
    assert books.connector.counters.calls - calls < 20
