"""Each fault of the wire as httpx sees it, over a real socket, with either of uvicorn's HTTP parsers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from sandbox.fault_middleware import ConnectionLost, FaultAnswer, FaultMiddleware, with_transport
from sandbox.faults import FaultPlan, Faults


class Counting:
    """An app that remembers the bodies that were applied."""

    def __init__(self) -> None:
        self.applied: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        self.applied.append(message["body"])
        body = json.dumps({"applied": len(self.applied), "padding": "x" * 200}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Wire:
    """A server with the app, the plan and a client."""

    def __init__(self, http: str) -> None:
        self.app = Counting()
        self.plan = FaultPlan()
        self.middleware = FaultMiddleware(self.app, Faults(self.plan, "xero"), vendor_answer)
        config = uvicorn.Config(with_transport(self.middleware), http=http, port=0, lifespan="off", log_level="error")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive()
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)

    def fault(self, name: str, **params: object) -> None:
        self.plan.load({"rules": [{"fault": name, "method": "PUT", "path": "/Inv*", "times": 1, "params": params}]})

    def put(self) -> httpx.Response:
        return self.client.put("/Invoices?unitdp=4", content=b"body")


def vendor_answer(fault: str, params: object) -> FaultAnswer:
    return FaultAnswer({"status_429": 429, "error_500": 500}.get(fault, 401), fault.encode(), {"X-Vendor": "yes"})


@pytest.fixture(params=["httptools", "h11"])
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    wire = Wire(request.param)
    yield wire
    wire.client.close()
    wire.server.should_exit = True
    wire.thread.join(10)


def test_lost_request_closes_the_connection_and_applies_nothing(wire: Wire) -> None:
    wire.fault("lost_request")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        wire.put()
    assert wire.app.applied == []
    assert wire.put().json()["applied"] == 1


def test_lost_answer_applies_and_closes_the_connection(wire: Wire) -> None:
    wire.fault("lost_answer")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        wire.put()
    assert wire.app.applied == [b"body"]


def test_late_apply_applies_after_the_connection_is_gone(wire: Wire) -> None:
    wire.fault("late_apply", seconds=0.2)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        wire.put()
    assert wire.app.applied == []
    deadline = 200
    while not wire.app.applied and deadline:
        deadline -= 1
        threading.Event().wait(0.05)
    assert wire.app.applied == [b"body"]


def test_late_apply_may_leave_the_client_hanging(wire: Wire) -> None:
    wire.fault("late_apply", seconds=60, hang=True)
    with pytest.raises(httpx.ReadTimeout):
        wire.client.put("/Invoices", content=b"body", timeout=0.3)
    assert wire.app.applied == [] and wire.middleware.late == 1


def test_429_and_401_are_the_vendors_own_and_apply_nothing(wire: Wire) -> None:
    for fault, status in (("status_429", 429), ("expired_token", 401)):
        wire.fault(fault)
        answer = wire.put()
        assert (answer.status_code, answer.text, answer.headers["x-vendor"]) == (status, fault, "yes")
    assert wire.app.applied == []


@pytest.mark.parametrize("applied", [True, False])
def test_500_applied_or_not(wire: Wire, applied: bool) -> None:
    wire.fault("error_500", applied=applied)
    assert wire.put().status_code == 500
    assert wire.app.applied == ([b"body"] if applied else [])


def test_cut_body_applies_and_sends_less_than_it_promised(wire: Wire) -> None:
    wire.fault("cut_body")
    with pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|without"):
        wire.put()
    assert wire.app.applied == [b"body"]


def test_slow_answers_all_the_same(wire: Wire) -> None:
    wire.fault("slow", seconds=0.05)
    assert wire.put().json()["applied"] == 1
    assert wire.plan.as_json()["hits"][0]["fault"] == "slow"


def test_without_a_socket_the_loss_is_an_exception() -> None:
    plan = FaultPlan()
    plan.load({"rules": [{"fault": "lost_answer"}]})
    app = Counting()

    async def call() -> None:
        transport = httpx.ASGITransport(FaultMiddleware(app, Faults(plan, "xero")))
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
            await client.put("/Invoices", content=b"body")

    import asyncio

    with pytest.raises(ConnectionLost):
        asyncio.run(call())
    assert app.applied == [b"body"]
