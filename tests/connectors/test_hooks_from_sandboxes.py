"""Webhooks as the sandboxes send them, which others wrote: each is verified, and names the record that was made."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any

import httpx
import pytest

from tests.sandbox_quickbooks.conftest import NO_LIMITS, US, QuickBooks, fresh_tokens
from tests.support.sandbox import SandboxProcess
from tieout.connectors.hooks.notices import Delivery, Notice
from tieout.connectors.hooks.vendors import HOOKS

pytestmark = pytest.mark.slow
PATIENCE = 20  # seconds


@contextmanager
def receiver() -> Iterator[tuple[str, Queue[Delivery]]]:
    """An address that takes what is posted to it."""
    taken: Queue[Delivery] = Queue()

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            taken.put(Delivery("POST", f"http://{self.headers['Host']}{self.path}", headers, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing on the console."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tieout/hooks/one", taken
    finally:
        server.shutdown()
        server.server_close()


def named(system: str, key: str, taken: Queue[Delivery], wanted: Notice) -> Delivery:
    """The delivery that names the record; every one that comes until then is the vendor's."""
    while True:
        delivery = taken.get(timeout=PATIENCE)
        assert HOOKS[system].refusal(delivery, (key,), datetime.now(UTC)) is None
        assert HOOKS[system].refusal(delivery, ("another key",), datetime.now(UTC)) == "wrong_signature"
        if wanted in HOOKS[system].notices(delivery.body):
            return delivery


@pytest.mark.proves(
    "webhooks that its sandbox sends are verified and name the record", scenario="webhooks", systems=("quickbooks",)
)
def test_quickbooks(sandbox: SandboxProcess) -> None:
    with receiver() as (url, taken):
        sandbox.settings("quickbooks", limits=NO_LIMITS, webhook_url=url, webhook_verifier_token="verifier")
        company = QuickBooks(sandbox, fresh_tokens(sandbox).json()["access_token"])
        made = company.document("Invoice", company.customer())
        named("quickbooks", "verifier", taken, Notice(US, "Invoice", made["Id"]))
        company.http.close()


@pytest.mark.proves(
    "webhooks that its sandbox sends are verified and name the record", scenario="webhooks", systems=("hubspot",)
)
def test_hubspot(sandbox: SandboxProcess) -> None:
    with receiver() as (url, taken):
        sandbox.settings("hubspot", webhook_url=url)
        answer = httpx.post(
            f"{sandbox.url}/hubspot/crm/v3/objects/companies", json={"properties": {"name": "Zo\u00eb & S\u00f8n"}},
            headers={"Authorization": "Bearer pat-sandbox"}, timeout=30,
        )  # fmt: skip
        assert answer.status_code == 201, answer.text
        named("hubspot", "sandbox-secret", taken, Notice("62515", "companies", answer.json()["id"]))
