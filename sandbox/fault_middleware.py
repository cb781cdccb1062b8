"""Makes the wire's faults happen around a vendor app: connections that close, answers that are cut, late or wrong.

Which call suffers is decided in faults.py. A vendor app wraps itself: `FaultMiddleware(app, faults, answer)`, where
`answer` gives the vendor's own body and headers for `status_429`, `error_500` and `expired_token`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.faults import Faults, Hit

_TRANSPORT = "sandbox.transport"


class ConnectionLost(ConnectionError):
    """Raised instead of closing the connection where there is none (an app called in process)."""


@dataclass(frozen=True, slots=True)
class FaultAnswer:
    """What the vendor would say."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


def plain_answer(fault: str, params: Mapping[str, Any]) -> FaultAnswer:
    """The answer of a vendor of whom nothing is known."""
    if fault == "status_429":
        return FaultAnswer(429, b"{}", {"Retry-After": str(params.get("retry_after", 1))})
    return FaultAnswer(401 if fault == "expired_token" else 500, b"{}")


def with_transport(app: ASGIApp) -> ASGIApp:
    """Outermost layer: keeps hold of the server's socket, so that a fault can close it.

    ASGI has no word for "close without an answer". uvicorn hands `send` as a method of its request cycle, with either
    of its HTTP parsers, and the cycle knows its transport.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        if scope["type"] == "http" and transport is not None:
            scope[_TRANSPORT] = transport
        await app(scope, receive, send)

    return wrapped


class FaultMiddleware:
    """Lets a call through, or does to it what the plan says."""

    def __init__(
        self,
        app: ASGIApp,
        faults: Faults,
        answer: Callable[[str, Mapping[str, Any]], FaultAnswer] = plain_answer,
    ) -> None:
        self.app = app
        self.faults = faults
        self.answer = answer
        self._late: set[asyncio.Task[None]] = set()
        self._now = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self.faults.plan.rules:
            await self.app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        hit = self.faults.on_the_wire(scope["method"], path)
        if hit is None:
            await self.app(scope, receive, send)
        else:
            await getattr(self, f"_{hit.fault}")(hit, scope, receive, send)

    async def apply_late_now(self) -> None:
        """Applies what `late_apply` still holds back, and returns when it is done."""
        self._now.set()
        await asyncio.gather(*self._late)
        self._now = asyncio.Event()

    async def drop_late(self) -> None:
        """Forgets what `late_apply` still holds back."""
        tasks = list(self._late)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def late(self) -> int:
        """How many requests wait to be applied."""
        return len(self._late)

    # One method for each fault of faults.ON_THE_WIRE, found by its name.

    async def _lost_request(self, hit: Hit, scope: Scope, receive: Receive, send: Send) -> None:
        await _read(receive)
        await _close(scope, receive)

    async def _lost_answer(self, hit: Hit, scope: Scope, receive: Receive, send: Send) -> None:
        await _collect(self.app, scope, await _read(receive))
        await _close(scope, receive)

    async def _late_apply(self, hit: Hit, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        task = asyncio.create_task(self._apply_late(dict(scope), body, float(hit.params.get("seconds", 1))))
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        if hit.params.get("hang"):
            await _wait_for_disconnect(receive)  # the client gives up by its own time-out
        else:
            await _close(scope, receive)

    async def _apply_late(self, scope: Scope, body: bytes, seconds: float) -> None:
        with suppress(TimeoutError):  # the usual case: the time is over
            await asyncio.wait_for(self._now.wait(), seconds)
        await _collect(self.app, scope, body)

    async def _status_429(self, hit: Hit, scope: Scope, receive: Receive, send: Send) -> None:
        await self._refuse(hit, receive, send)

    async def _expired_token(self, hit: Hit, scope: Scope, receive: Receive, send: Send) -> None:
        await self._refuse(hit, receive, send)

    async def _error_500(self, hit: Hit, scope: Scope, receive: Receive, send: Send) -> None:
        if hit.params.get("applied"):
            await _collect(self.app, scope, await _read(receive))
            await _send(send, self.answer(hit.fault, hit.params))
        else:
            await self._refuse(hit, receive, send)

    async def _cut_body(self, hit: Hit, scope: Scope, receive: Receive, send: Send) -> None:
        start, body = await _collect(self.app, scope, await _read(receive))
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        headers.append((b"content-length", str(max(len(body), 2)).encode()))
        await send({"type": "http.response.start", "status": start["status"], "headers": headers})
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await _close(scope, receive)

    async def _slow(self, hit: Hit, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(float(hit.params.get("seconds", 1)))
        await self.app(scope, receive, send)

    async def _refuse(self, hit: Hit, receive: Receive, send: Send) -> None:
        await _read(receive)
        await _send(send, self.answer(hit.fault, hit.params))


async def _read(receive: Receive) -> bytes:
    """The whole body, so that the client is done with sending before anything happens to the connection."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _collect(app: ASGIApp, scope: Scope, body: bytes) -> tuple[MutableMapping[str, Any], bytes]:
    """Runs the app on a body that was read, and keeps its answer: (start message, bytes)."""
    start: MutableMapping[str, Any] = {"status": 500, "headers": []}
    parts: list[bytes] = []
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return pending.pop() if pending else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return start, b"".join(parts)


async def _send(send: Send, answer: FaultAnswer) -> None:
    headers = [(b"content-type", answer.content_type.encode()), (b"content-length", str(len(answer.body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _close(scope: Scope, receive: Receive) -> None:
    transport = scope.get(_TRANSPORT)
    if transport is None:
        raise ConnectionLost("the fault plan closed the connection")
    transport.close()
    await _wait_for_disconnect(receive)  # else uvicorn would complain that there is no answer


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
