"""A scenario whose steps leave marks in a folder and fail as files there say: the kit's counterpart, not a stand-in.

`<TIEOUT_HOME>/probe/fail_deliver` makes deliver fail for good, `hang_deliver` lets it wait; every step appends a
line to `marks`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tieout.model.connection import Connection
from tieout.model.errors import AuthenticationFailed, RateLimited, Retriable


def folder() -> Path:
    """Where the marks are."""
    place = Path(os.environ["TIEOUT_HOME"]) / "probe"
    place.mkdir(exist_ok=True)
    return place


@contextmanager
def open_services(
    link: str, connections: Callable[[str], Connection], on_secret: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """The link's name and its CRM connection, read from Airflow."""
    on_secret("a-fresh-token-of-the-probe")
    yield {"link": link, "crm": connections("salesforce_demo")}


def start(services: dict[str, Any], trigger: str, interval: Any, airflow_ids: tuple[str, str]) -> str:
    """Keeps what the kit handed over."""
    crm = services["crm"]
    bounds = [bound.isoformat() for bound in interval] if interval else None
    _mark("start", trigger=trigger, interval=bounds, crm=crm.system, host=crm.host, dag_id=airflow_ids[0])
    return "0e0f0a0b-0000-4000-8000-000000000001"


def extract(services: dict[str, Any], run_id: str) -> dict[str, int]:
    """Asks for a wait of a second at the first call."""
    if _mark("extract", run_id=run_id) == 1:
        raise RateLimited("salesforce: daily calls used up", retry_after=1)
    return {"read": 3}


def transform(services: dict[str, Any], run_id: str) -> dict[str, int]:
    """Is interrupted at the first call."""
    if _mark("transform", run_id=run_id) == 1:
        raise Retriable("the network went away")
    print("token: a-fresh-token-of-the-probe")
    return {"intents": 2}


def deliver(services: dict[str, Any], run_id: str) -> dict[str, int]:
    """Is refused, or hangs, while the switch is there."""
    _mark("deliver", run_id=run_id, pid=os.getpid())
    while (folder() / "hang_deliver").exists():
        time.sleep(0.1)
    if (folder() / "fail_deliver").exists():
        raise AuthenticationFailed("xero refuses the client id")
    return {"posted": 2}


def write_back(services: dict[str, Any], run_id: str) -> dict[str, int]:
    """Works."""
    _mark("write_back", run_id=run_id)
    return {"written": 2}


def summarise(services: dict[str, Any], run_id: str) -> dict[str, int]:
    """Works."""
    _mark("summarise", run_id=run_id)
    return {"read": 3, "posted": 2}


def _mark(step: str, **facts: Any) -> int:
    """Appends a line; returns how often this step was called."""
    marks = folder() / "marks"
    with marks.open("a") as out:
        out.write(json.dumps({"step": step, **facts}) + "\n")
    return sum(json.loads(line)["step"] == step for line in marks.read_text().splitlines())
