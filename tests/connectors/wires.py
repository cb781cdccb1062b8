"""What connector tests share: a clock that never waits, connections, staged entities, a fake wire with a log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tieout.connectors import exact_json
from tieout.connectors.base import Request
from tieout.connectors.wire import Clock
from tieout.model.connection import Connection
from tieout.model.staged import ColumnType, StagedEntity, StagedField

NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


class Time:
    """Stands still until somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.naps: list[float] = []
        self.clock = Clock(self.monotonic, self.sleep, self.now, lambda: 0.5)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.seconds += seconds

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds - 1000)


class Wire:
    """Answers by the first rule whose (method, start of path) fits; `asked` is what came."""

    def __init__(self, *rules: tuple[str, str, Any]) -> None:
        self.rules = [(method, path, answer) for method, path, answer in rules]
        self.asked: list[httpx.Request] = []
        self.transport = httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        for method, path, answer in self.rules:
            if request.method == method and request.url.path.startswith(path):
                if isinstance(answer, list):
                    answer = answer.pop(0) if len(answer) > 1 else answer[0]
                if isinstance(answer, Exception):
                    raise answer
                if isinstance(answer, httpx.Response):
                    # A response object serves once: the same rule may answer again.
                    return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
                reply: httpx.Response = answer(request)
                return reply
        raise AssertionError(f"nobody answers {request.method} {request.url}")

    def calls(self, method: str, path: str) -> list[httpx.Request]:
        return [r for r in self.asked if r.method == method and r.url.path.startswith(path)]


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """JSON with exact numbers."""
    content = exact_json.dumps(value)
    return httpx.Response(status, headers={"content-type": "application/json", **(headers or {})}, content=content)


def connection(system: str, host: str, **extra: Any) -> Connection:
    return Connection(f"{system}_test", system, host, "client", "s3cret-word", extra)


def entity(system: str, obj: str, key: str, modified: str | None, **fields: tuple[str, ColumnType]) -> StagedEntity:
    """`fields`: column -> (path, type)."""
    declared = tuple(StagedField(column, path, kind) for column, (path, kind) in fields.items())
    return StagedEntity(system, obj.lower(), obj, key, modified, declared)


def item(number: int, operation: str, body: Any, natural_key: str = "") -> Request:
    content = body if isinstance(body, bytes) else exact_json.dumps(body)
    return Request(f"doc-{number}", operation, natural_key, f"key-{number}-{operation}", content)


Handler = Callable[[httpx.Request], httpx.Response]
