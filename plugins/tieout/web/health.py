"""Sync health: volume and success by day, how the vendors answer, errors by type, what is uncertain since when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse

from tieout.delivery import uncertain
from tieout.store import health
from tieout.store.health import Calls, RunsOfDay
from tieout.web.pages import Doors, Pages, Visitor

#: Outcomes of a call that mean that the vendor did, or knows, what was asked.
GOOD_OUTCOMES = frozenset({"applied", "found_equal", "found_none"})


@dataclass(frozen=True, slots=True)
class Flow:
    """One link and scenario over the days: what each day had, and all of them together."""

    link: str
    scenario: str
    days: Sequence[tuple[date, RunsOfDay | None]]
    runs: int
    failed: int
    partial: int
    read: int
    posted: int
    seconds: float | None

    @property
    def succeeded(self) -> str:
        """The share of runs that did not fail."""
        return f"{100 * (self.runs - self.failed) / self.runs:.1f}%" if self.runs else ""


@dataclass(frozen=True, slots=True)
class Target:
    """The latest calls of one kind to one target."""

    target: str
    kind: str
    outcomes: Sequence[Calls]

    @property
    def count(self) -> int:
        """How many calls."""
        return sum(one.count for one in self.outcomes)

    @property
    def good(self) -> str:
        """The share that was answered as hoped."""
        good = sum(one.count for one in self.outcomes if one.outcome in GOOD_OUTCOMES)
        return f"{100 * good / self.count:.1f}%"


def add(app: FastAPI, doors: Doors, pages: Pages) -> None:
    """The routes."""
    engine = pages.sources.open_engine

    @app.get("/health")
    def shown(request: Request, visitor: Visitor = Depends(doors.reader)) -> HTMLResponse:
        now = datetime.now(UTC)
        with engine().connect() as conn:
            values: dict[str, Any] = {
                "flows": flows(health.runs_by_day(conn, now), now.date()),
                "targets": targets(health.calls(conn)),
                "errors": health.errors(conn),
                "watched": health.read_until(conn),
                "ages": uncertain.ages(conn),
            }
        return pages.render("health.html", request, visitor, **values, now=now, days=health.DAYS, calls=health.CALLS)


def flows(rows: Sequence[RunsOfDay], today: date) -> list[Flow]:
    """The rows by link and scenario, with a place for each day that had none."""
    grouped: dict[tuple[str, str], dict[date, RunsOfDay]] = defaultdict(dict)
    for row in rows:
        grouped[row.link, row.scenario][row.day] = row
    span = [today - timedelta(days=back) for back in range(health.DAYS - 1, -1, -1)]
    found = []
    for (link, scenario), by_day in grouped.items():
        had = list(by_day.values())
        took = [row.seconds for row in had if row.seconds is not None]
        found.append(
            Flow(
                link, scenario, [(day, by_day.get(day)) for day in span], sum(row.runs for row in had),
                sum(row.failed for row in had), sum(row.partial for row in had), sum(row.read for row in had),
                sum(row.posted for row in had), sorted(took)[len(took) // 2] if took else None,
            )
        )  # fmt: skip
    return found


def targets(rows: Sequence[Calls]) -> list[Target]:
    """The rows by target and kind."""
    grouped: dict[tuple[str, str], list[Calls]] = defaultdict(list)
    for row in rows:
        grouped[row.target, row.kind].append(row)
    return [Target(target, kind, outcomes) for (target, kind), outcomes in grouped.items()]
