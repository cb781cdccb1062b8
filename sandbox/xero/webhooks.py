"""Webhooks: changes of contacts and invoices are told to one URL, signed, after the commit, and again until it answers.

Events are kept in memory: a sandbox that is killed forgets those that it has not told, as a vendor may. What is told,
how it is signed and that a receiver has 5 s is read in the vendor's description; how often it is tried again is ours.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.xero.books import Books

#: Table -> category of its events.
TOLD: Mapping[str, str] = {"Contacts": "CONTACT", "Invoices": "INVOICE", "CreditNotes": "CREDITNOTE"}
TIME_OUT = 5  # seconds that a receiver has
MOST_EVENTS = 500  # in one delivery
ATTEMPTS = 6
#: Deliveries that are remembered for the door.
REMEMBERED = 1000


class Webhooks:
    """One sender, with a thread that begins with the first event."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.sent: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self._waiting: list[dict[str, Any]] = []
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._sequence = 0
        self._busy = False
        books.state.on_commit.append(self._changed)
        books.state.on_clear.append(self._forget)

    def routes(self) -> list[Route]:
        return [
            Route("/_sandbox/webhooks", self.show, methods=["GET"]),
            Route("/_sandbox/webhooks/intent-to-receive", self.intent, methods=["POST"]),
        ]

    async def show(self, _: Request) -> Response:
        """What was told, and how much is not told yet."""
        with self._wake:
            return JSONResponse({"waiting": len(self._waiting) + self._busy, "sent": list(self.sent)})

    async def intent(self, _: Request) -> Response:
        """What Xero does when an address is entered: right and wrong signatures; {"status": "OK" or why not}."""
        url, key = self.books.setting("webhook_url"), self.books.setting("webhook_key")
        if not url:
            return JSONResponse({"error": "xero.webhook_url is not set"}, 400)
        answers = []
        for right in (True, False, False, True):
            body = self._body([], entropy=secrets.token_hex(10).upper())
            answers.append((right, *await run_in_threadpool(post, url, body, key if right else "wrong-" + key)))
        wrong = [
            f"{'right' if right else 'wrong'} signature: status {status}, {size} bytes"
            for right, status, size in answers
            if (status, size) != (200 if right else 401, 0)
        ]
        return JSONResponse({"status": "; ".join(wrong) or "OK"})

    def _changed(self, touched: Sequence[tuple[str, str]]) -> None:
        """Called under the state's lock: notes the events and leaves the telling to the thread."""
        if not self.books.setting("webhook_url"):
            return
        categories = self.books.setting("webhook_categories")
        events = [
            event for table, id_ in touched if TOLD.get(table) in categories and (event := self._event(table, id_))
        ]
        if not events:
            return
        with self._wake:
            self._waiting += events
            if self._thread is None:
                self._thread = threading.Thread(target=self._tell, name="xero-webhooks", daemon=True)
                self._thread.start()
            self._wake.notify()

    def _event(self, table: str, id_: str) -> dict[str, Any] | None:
        record = self.books.state.table(table).get(id_)
        if record is None:  # removed without a trace: nobody is told
            return None
        moment = record["UpdatedDateUTC"]
        return {
            "resourceUrl": f"https://api.xero.com/api.xro/2.0/{table}/{id_}",
            "resourceId": id_,
            "tenantId": self.books.setting("tenant_id"),
            "tenantType": "ORGANISATION",
            "eventCategory": TOLD[table],
            "eventType": "CREATE" if record.get("_created") == moment else "UPDATE",
            "eventDateUtc": moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}",
        }

    def _body(self, events: Sequence[Mapping[str, Any]], entropy: str) -> bytes:
        first = self._sequence + 1 if events else 0
        self._sequence += len(events)
        last = self._sequence if events else 0
        content = {"events": events, "firstEventSequence": first, "lastEventSequence": last, "entropy": entropy}
        return json.dumps(content, separators=(",", ":")).encode()

    def _tell(self) -> None:
        while True:
            with self._wake:
                while not self._waiting:
                    self._wake.wait()
                events, self._waiting = self._waiting[:MOST_EVENTS], self._waiting[MOST_EVENTS:]
                self._busy = True
            body = self._body(events, secrets.token_hex(10).upper())
            told: dict[str, Any] = {"events": len(events), "statuses": []}
            self.sent.append(told)
            for attempt in range(ATTEMPTS):
                url, key = self.books.setting("webhook_url"), self.books.setting("webhook_key")
                if not url:
                    break
                status, _ = post(url, body, key)
                told["statuses"].append(status)
                if 200 <= status < 300:
                    break
                time.sleep(float(self.books.setting("webhook_retry_seconds")) * 2**attempt)
            with self._wake:
                self._busy = False

    def _forget(self) -> None:
        with self._wake:
            self._waiting.clear()
            self.sent.clear()


def post(url: str, body: bytes, key: str) -> tuple[int, int]:
    """Status and size of the answer; status 0 where there was none."""
    signature = base64.b64encode(hmac.digest(key.encode(), body, hashlib.sha256)).decode()
    headers = {"Content-Type": "application/json", "x-xero-signature": signature}
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=TIME_OUT) as answer:
            return answer.status, len(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, len(error.read())
    except (OSError, http.client.HTTPException):
        return 0, 0
