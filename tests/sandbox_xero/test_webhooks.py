"""The sandbox tells changes as Xero does: signed, after the commit, again until it is answered, never in the way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.sandbox_xero.conftest import Xero

KEY = "a webhook key"


class Receiver:
    """Answers with the next of `statuses`, then with 200; a wrong signature is 401."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.taken: list[dict[str, Any]] = []
        self.asked = 0
        self.hold = threading.Event()
        self.hold.set()
        outer = self

        class Answers(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.hold.wait(20)
                outer.asked += 1
                body = self.rfile.read(int(self.headers["content-length"]))
                right = base64.b64encode(hmac.digest(KEY.encode(), body, hashlib.sha256)).decode()
                status = outer.statuses.pop(0) if outer.statuses else 200
                if self.headers["x-xero-signature"] != right:
                    status = 401
                elif status == 200:
                    outer.taken.append(json.loads(body))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing on standard error."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hooks"

    def events(self, count: int) -> list[dict[str, Any]]:
        """All events, when there are at least so many."""
        end = time.monotonic() + 20
        while len(found := [event for one in self.taken for event in one["events"]]) < count:
            assert time.monotonic() < end, f"{len(found)} events of {count} came"
            time.sleep(0.02)
        return found


@pytest.fixture
def receiver(xero: Xero) -> Iterator[Receiver]:
    made = Receiver()
    xero.settings(webhook_url=made.url, webhook_key=KEY, webhook_retry_seconds=0)
    yield made
    made.hold.set()
    xero.settings(webhook_url=None)
    made.server.shutdown()


def test_changes_of_contacts_and_invoices_are_told_with_their_ids(xero: Xero, receiver: Receiver) -> None:
    contact = xero.contact()
    invoice = xero.invoice()
    xero.pay(invoice["InvoiceID"], "20.00")
    events = receiver.events(3)
    told = {(one["eventCategory"], one["eventType"], one["resourceId"]) for one in events}
    assert told >= {("CONTACT", "CREATE", contact["ContactID"]), ("INVOICE", "CREATE", invoice["InvoiceID"]),
                    ("INVOICE", "UPDATE", invoice["InvoiceID"])}  # fmt: skip
    assert {one["tenantId"] for one in events} == {"5d1f9e0c-7a54-4f6e-9a51-0c0ffee00001"}
    assert [one["firstEventSequence"] for one in receiver.taken] == sorted(
        one["firstEventSequence"] for one in receiver.taken
    )


def test_what_is_not_answered_with_200_is_told_again(xero: Xero, receiver: Receiver) -> None:
    receiver.statuses = [500, 503]
    xero.contact()
    assert len(receiver.events(1)) == 1 and receiver.asked == 3


def test_a_refused_document_is_told_to_nobody(xero: Xero, receiver: Receiver) -> None:
    xero.refused("PUT", "Invoices", {"Invoices": [{"Type": "ACCREC", "Status": "AUTHORISED", "LineItems": []}]})
    xero.contact("Ben Ltd")
    assert [one["eventCategory"] for one in receiver.events(1)] == ["CONTACT"]


def test_a_receiver_that_hangs_does_not_hold_the_api_up(xero: Xero, receiver: Receiver) -> None:
    receiver.hold.clear()
    for name in ("Ann Ltd", "Ben Ltd", "Cem Ltd"):
        xero.contact(name)
    assert len(xero.get("Contacts")["Contacts"]) == 3 and receiver.taken == []
    receiver.hold.set()
    assert len({one["resourceId"] for one in receiver.events(3)}) == 3


def test_the_intent_to_receive_tells_a_good_receiver_from_a_bad_one(xero: Xero, receiver: Receiver) -> None:
    door = f"{xero.root}/_sandbox/webhooks/intent-to-receive"
    assert httpx.post(door, timeout=30).json() == {"status": "OK"}
    receiver.statuses = [204]
    assert "right signature: status 204" in httpx.post(door, timeout=30).json()["status"]
    xero.settings(webhook_key="another")
    assert "right signature: status 401" in httpx.post(door, timeout=30).json()["status"]
    xero.settings(webhook_url=None)
    assert httpx.post(door, timeout=30).status_code == 400
