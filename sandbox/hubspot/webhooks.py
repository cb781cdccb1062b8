"""Webhooks with signature v3: base64 of HMAC-SHA256 over method, URI, body and timestamp, by the client secret."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from typing import Any

import httpx

from sandbox.hubspot.portal import Portal
from sandbox.hubspot.wire import dump, millis
from sandbox.state import Record

TIMEOUT = 5  # seconds
_NEW_NAMES = {"0-1": "contact", "0-2": "company", "0-3": "deal", "0-5": "ticket", "0-7": "product", "0-8": "line_item"}


def signature(secret: str, method: str, uri: str, body: bytes, timestamp: str) -> str:
    text = method.encode() + uri.encode() + body + timestamp.encode()
    return base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha256).digest()).decode()


class Webhooks:
    """Posts what changed, after the answer, in the background. What a stopped sandbox had not posted is lost."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, events: list[Record]) -> None:
        url = self.portal.setting("webhook_url")
        if url is None or not events:
            return
        task = asyncio.create_task(self._post(url, [self._event(one) for one in events]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _event(self, event: Record) -> Record:
        name = _NEW_NAMES.get(event["objectTypeId"])
        type_ = event["subscriptionType"].replace("object.", f"{name}.") if name else event["subscriptionType"]
        now = millis(self.portal.now())
        frame: dict[str, Any] = {"eventId": time.time_ns() % 10**10, "subscriptionId": 1, "appId": 1, "occurredAt": now}
        frame |= {"portalId": self.portal.setting("portal_id"), "changeSource": "INTEGRATION"}
        return frame | event | {"subscriptionType": type_}

    async def _post(self, url: str, events: list[Record]) -> None:
        async with httpx.AsyncClient(timeout=TIMEOUT) as client:
            for attempt in range(int(self.portal.setting("webhook_attempts"))):
                body = dump([one | {"attemptNumber": attempt} for one in events])
                stamp = str(millis(self.portal.now()))
                signed = signature(self.portal.setting("client_secret"), "POST", url, body, stamp)
                headers = {"Content-Type": "application/json", "X-HubSpot-Signature-v3": signed}
                headers["X-HubSpot-Request-Timestamp"] = stamp
                try:
                    if (await client.post(url, content=body, headers=headers)).is_success:
                        return
                except httpx.HTTPError:
                    pass  # as a refusal: it is tried again
                await asyncio.sleep(float(self.portal.setting("webhook_retry_seconds")))
