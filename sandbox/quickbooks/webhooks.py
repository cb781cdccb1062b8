"""Notifications of changes to a URL in the settings, signed as Intuit signs them; after the answer, and once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any

import httpx

from sandbox.quickbooks.books import Books
from sandbox.quickbooks.settings import setting

TIMEOUT = 3  # seconds
_ENTITIES = (
    "Customer",
    "Item",
    "Account",
    "Term",
    "CompanyCurrency",
    "Invoice",
    "CreditMemo",
    "RefundReceipt",
    "Payment",
)


class Webhooks:
    """`failed` counts the notifications that were not taken; there is no second try."""

    def __init__(self) -> None:
        self.failed = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def notify(self, books: Books, changes: list[tuple[str, str, str]]) -> None:
        """Sends one notification for the call's changes, in the background."""
        url = setting(books.state, "webhook_url")
        entities = [change for change in changes if change[0] in _ENTITIES]
        if not url or not entities:
            return
        body = json.dumps(payload(books, entities)).encode()
        headers = {"intuit-signature": signature(body, setting(books.state, "webhook_verifier_token"))}
        task = asyncio.create_task(self._send(url, body, headers | {"Content-Type": "application/json"}))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT) as client:
                (await client.post(url, content=body, headers=headers)).raise_for_status()
        except httpx.HTTPError:
            self.failed += 1


def payload(books: Books, changes: list[tuple[str, str, str]]) -> dict[str, Any]:
    now = books.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entities = [
        {"name": entity, "id": id_, "operation": operation, "lastUpdated": now}
        for entity, id_, operation in dict.fromkeys(changes)
    ]
    return {"eventNotifications": [{"realmId": books.realm, "dataChangeEvent": {"entities": entities}}]}


def signature(body: bytes, token: str) -> str:
    """HMAC-SHA256 of the raw body with the verifier token, in base64."""
    return base64.b64encode(hmac.new(token.encode(), body, hashlib.sha256).digest()).decode()
