"""The sandbox as one ASGI app: each vendor under its own path, and `/_sandbox/` to steer them all.

A vendor is a folder with a module `sandbox.<name>.app`, found there; no list names it. The module has

- `create_app(state, faults) -> ASGI app`, wrapped in FaultMiddleware by itself, and
- `seed(state)`: puts in what a new organisation has; called by `/_sandbox/reset`, and by create_app on an empty state;
- optionally `check_settings(state, changes) -> changes`: may refuse a change of settings with ValueError.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from sandbox.fault_middleware import FaultMiddleware, with_transport
from sandbox.faults import BadPlan, FaultPlan, Faults
from sandbox.state import State


@dataclass(frozen=True, slots=True)
class System:
    """One vendor that is being played."""

    name: str
    app: ASGIApp
    state: State
    seed: Callable[[State], None]
    check_settings: Callable[[State, Mapping[str, Any]], Mapping[str, Any]]


def vendors() -> list[str]:
    """The vendors that are played: every folder beside this file that has an app, in alphabetical order."""
    return sorted(file.parent.name for file in Path(__file__).parent.glob("*/app.py"))


def create_app(state_dir: Path) -> ASGIApp:
    """Opens `<state_dir>/<vendor>.sqlite` for each vendor and mounts it at `/<vendor>`."""
    state_dir.mkdir(parents=True, exist_ok=True)
    plan = FaultPlan()
    systems = {name: _open(name, state_dir, plan) for name in vendors()}

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        for system in systems.values():
            system.state.close()

    door = _Door(plan, systems)
    routes = [
        Route("/", door.index),
        Route("/_sandbox/health", door.health),
        Route("/_sandbox/faults", door.faults, methods=["GET", "POST", "DELETE"]),
        Route("/_sandbox/faults/late", door.late, methods=["POST"]),
        Route("/_sandbox/settings", door.settings, methods=["GET", "PATCH"]),
        Route("/_sandbox/reset", door.reset, methods=["POST"]),
        *(Mount(f"/{system.name}", app=system.app) for system in systems.values()),
    ]
    return with_transport(Starlette(routes=routes, lifespan=lifespan))


def _open(name: str, state_dir: Path, plan: FaultPlan) -> System:
    module = import_module(f"sandbox.{name}.app")
    state = State(state_dir / f"{name}.sqlite")
    app = module.create_app(state, Faults(plan, name))
    check = getattr(module, "check_settings", lambda _, changes: changes)
    return System(name, app, state, module.seed, check)


class _Door:
    """The handlers of `/_sandbox/`."""

    def __init__(self, plan: FaultPlan, systems: Mapping[str, System]) -> None:
        self.plan = plan
        self.systems = systems

    async def index(self, _: Request) -> Response:
        items = "".join(f'<li><a href="/{name}/">{name}</a></li>' for name in self.systems)
        head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Sandbox</title>'
        return HTMLResponse(f"{head}<h1>Sandbox</h1><ul>{items}</ul></html>")

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "systems": list(self.systems)})

    async def faults(self, request: Request) -> Response:
        if request.method == "POST":
            try:
                self.plan.load(await _json(request))
            except ValueError as error:
                return JSONResponse({"error": str(error)}, 400)
        elif request.method == "DELETE":
            self.plan.clear()
        late = sum(middleware.late for middleware in self._middleware())
        return Response(_dump(self.plan.as_json() | {"late": late}), media_type="application/json")

    async def late(self, _: Request) -> Response:
        """Applies now what `late_apply` holds back."""
        for middleware in self._middleware():
            await middleware.apply_late_now()
        return JSONResponse({"late": 0})

    async def settings(self, request: Request) -> Response:
        if request.method == "PATCH":
            try:
                self._change(await _json(request))
            except ValueError as error:
                return JSONResponse({"error": str(error)}, 400)
        settings = {system.name: dict(system.state.settings) for system in self.systems.values()}
        return Response(_dump(settings), media_type="application/json")

    async def reset(self, _: Request) -> Response:
        """Everything as in a new state directory: records, settings, faults."""
        self.plan.clear()
        for middleware in self._middleware():
            await middleware.drop_late()
        for system in self.systems.values():
            with system.state.lock:
                system.state.clear()
                system.seed(system.state)
        return JSONResponse({"status": "ok"})

    def _change(self, changes: object) -> None:
        if not isinstance(changes, dict) or not all(isinstance(part, dict) for part in changes.values()):
            raise ValueError("expected {system: {setting: value}}")
        for name in changes:
            if name not in self.systems:
                raise ValueError(f"unknown system {name!r}; known are {', '.join(self.systems)}")
        for name, part in changes.items():
            system = self.systems[name]
            with system.state.lock, system.state.transaction():
                for key, value in system.check_settings(system.state, part).items():
                    system.state.settings[key] = value

    def _middleware(self) -> list[FaultMiddleware]:
        return [system.app for system in self.systems.values() if isinstance(system.app, FaultMiddleware)]


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body(), parse_float=Decimal)
    except UnicodeDecodeError as error:
        raise BadPlan("the body is not UTF-8") from error


def _dump(value: object) -> str:
    # These answers are for people and tests; what must stay exact goes through the vendors' own doors.
    return json.dumps(value, default=str)
