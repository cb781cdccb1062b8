"""The repair of Airflow's Test button: touches that one call only, and is still needed."""

from __future__ import annotations

import json

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tieout.orchestration.portless_test import PATH, PortlessTest, without_port_zero


async def echo(request: Request) -> Response:
    body = await request.body()
    assert int(request.headers["content-length"]) == len(body)
    return Response(body)


@pytest.fixture
def client() -> TestClient:
    routes = [Route(PATH, echo, methods=["POST"]), Route("/api/v2/connections", echo, methods=["POST"])]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(PortlessTest)]))


def test_port_zero_of_a_test_becomes_none(client: TestClient) -> None:
    sent = {"connection_id": "x", "port": 0, "password": "***"}
    assert client.post(PATH, json=sent).json() == {**sent, "port": None}


def test_other_calls_and_other_bodies_are_left_alone(client: TestClient) -> None:
    assert client.post("/api/v2/connections", json={"port": 0}).json() == {"port": 0}
    for body in (b'{"port": 443}', b"{}", b"[0]", b"not json", b'{"port": false}', b""):
        assert client.post(PATH, content=body).content == body
    assert without_port_zero(json.dumps({"port": 5432}).encode()) is None


def test_airflow_still_needs_the_repair() -> None:
    """When this fails, Airflow has learnt it: delete portless_test.py and its line in the plugin."""
    from airflow.api_fastapi.core_api.routes.public.connections import _same_endpoint

    assert not _same_endpoint(0, None)
