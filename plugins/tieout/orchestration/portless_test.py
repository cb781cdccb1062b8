"""Repairs Airflow 3.3.2's Test button for connections without a port (apache/airflow#73298, merged after 3.3.2).

The UI sends `"port": 0` for a connection that has none; the API takes that for another destination than the stored
one and answers 400. Here 0 becomes null on its way in, for that one call. Delete this module, and its line in the
plugin, once `tests/unit/orchestration/test_portless_test.py` says that Airflow does it by itself.
"""

from __future__ import annotations

import json
from typing import Any

PATH = "/api/v2/connections/test"
#: A connection's form is far smaller; anything longer is passed on untouched.
MOST_BYTES = 1_000_000


class PortlessTest:
    """ASGI middleware of the API server."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith(PATH):
            await self.app(scope, receive, send)
            return
        messages, body, more = [], b"", True
        while more and len(body) <= MOST_BYTES:
            message = await receive()
            messages.append(message)
            body += message.get("body", b"")
            more = message["type"] == "http.request" and message.get("more_body", False)
        mended = None if more else without_port_zero(body)
        if mended is not None:
            messages = [{"type": "http.request", "body": mended, "more_body": False}]
            length = (b"content-length", str(len(mended)).encode())
            scope = {**scope, "headers": [*(pair for pair in scope["headers"] if pair[0] != length[0]), length]}

        async def replay() -> Any:
            return messages.pop(0) if messages else await receive()

        await self.app(scope, replay, send)


def without_port_zero(body: bytes) -> bytes | None:
    """The body with `port` null in place of 0; None when there is nothing to change."""
    try:
        value = json.loads(body)
    except ValueError:
        return None
    if not isinstance(value, dict) or value.get("port") != 0 or isinstance(value["port"], bool):
        return None
    return json.dumps({**value, "port": None}).encode()
