"""Sync runs: one run of one scenario for one link, with its steps, counts and what it was made of."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as insert_into
from sqlalchemy.engine import Connection

from tieout.model.settings import PROJECT
from tieout.store.engine import dumps
from tieout.store.tables import sync_run


@dataclass(frozen=True, slots=True)
class Run:
    """One row of `tieout.sync_run`. `steps`: name -> {started, ended, numbers}, times in ISO 8601."""

    run_id: UUID
    link: str
    scenario: str
    state: str
    trigger: str
    interval_start: datetime | None
    interval_end: datetime | None
    airflow_dag_id: str | None
    airflow_run_id: str | None
    mapping_hash: str
    suite_hash: str
    code_version: str
    counts: Mapping[str, Any]
    amounts: Mapping[str, Any]
    steps: Mapping[str, Any]
    started_at: datetime
    finished_at: datetime | None


_COLUMNS = [sync_run.c[name] for name in Run.__dataclass_fields__]


def start(
    conn: Connection,
    *,
    link: str,
    scenario: str,
    trigger: str,
    mapping_hash: str,
    suite_hash: str,
    run_id: UUID | None = None,
    code_version: str | None = None,
    interval_start: datetime | None = None,
    interval_end: datetime | None = None,
    airflow_dag_id: str | None = None,
    airflow_run_id: str | None = None,
) -> UUID:
    """Opens a run and returns its id. A given id that is there already is opened again: a cleared task starts over."""
    identifier = run_id or uuid4()
    insert = insert_into(sync_run).values(
        run_id=identifier,
        link=link,
        scenario=scenario,
        trigger=trigger,
        mapping_hash=mapping_hash,
        suite_hash=suite_hash,
        code_version=code_version or current_code_version(),
        interval_start=interval_start,
        interval_end=interval_end,
        airflow_dag_id=airflow_dag_id,
        airflow_run_id=airflow_run_id,
    )
    fresh = {name: insert.excluded[name] for name in ("mapping_hash", "suite_hash", "code_version")}
    conn.execute(
        insert.on_conflict_do_update(index_elements=["run_id"], set_={**fresh, "state": "running", "finished_at": None})
    )
    return identifier


def begin_step(conn: Connection, run_id: UUID, step: str) -> None:
    """Notes that a step begins (again)."""
    _update_steps(
        conn,
        "update tieout.sync_run set steps = steps || jsonb_build_object(cast(:step as text), "
        "jsonb_build_object('started', clock_timestamp())) where run_id = :run_id",
        {"run_id": run_id, "step": step},
    )


def end_step(conn: Connection, run_id: UUID, step: str, numbers: Mapping[str, Any]) -> None:
    """Notes that a step ended, and what it counted."""
    _update_steps(
        conn,
        "update tieout.sync_run set steps = steps || jsonb_build_object(cast(:step as text), "
        "coalesce(steps -> cast(:step as text), '{}') || "
        "jsonb_build_object('ended', clock_timestamp(), 'numbers', cast(:numbers as jsonb))) where run_id = :run_id",
        {"run_id": run_id, "step": step, "numbers": dumps(dict(numbers))},
    )


def finish(
    conn: Connection,
    run_id: UUID,
    state: str,
    *,
    counts: Mapping[str, Any] | None = None,
    amounts: Mapping[str, Any] | None = None,
) -> None:
    """Ends a run as `succeeded`, `partial` or `failed`; counts and amounts stay as they are when not given."""
    values: dict[str, Any] = {"state": state, "finished_at": sa.func.clock_timestamp()}
    if counts is not None:
        values["counts"] = dict(counts)
    if amounts is not None:
        values["amounts"] = dict(amounts)
    conn.execute(sa.update(sync_run).where(sync_run.c.run_id == run_id).values(**values))


def get(conn: Connection, run_id: UUID) -> Run | None:
    """The run; None when there is none of that id."""
    row = conn.execute(sa.select(*_COLUMNS).where(sync_run.c.run_id == run_id)).one_or_none()
    return None if row is None else Run(*row)


def latest(conn: Connection, link: str | None = None, scenario: str | None = None, *, limit: int = 1) -> Sequence[Run]:
    """The last runs, newest first."""
    query = sa.select(*_COLUMNS).order_by(sync_run.c.started_at.desc(), sync_run.c.run_id).limit(limit)
    if link is not None:
        query = query.where(sync_run.c.link == link)
    if scenario is not None:
        query = query.where(sync_run.c.scenario == scenario)
    return [Run(*row) for row in conn.execute(query)]


@functools.cache
def current_code_version() -> str:
    """TIEOUT_CODE_VERSION (set in the image), else the checkout's git revision (`+changed` when files differ), else
    the package's version."""
    if given := os.environ.get("TIEOUT_CODE_VERSION"):
        return given
    if (PROJECT / ".git").exists():
        revision = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
        if revision:
            return revision + ("+changed" if changed else "")
    try:
        return importlib.metadata.version("tieout")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(PROJECT), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None  # no git on this machine, or a folder that it does not trust: the package's version says it
    return done.stdout.strip()


def _update_steps(conn: Connection, statement: str, values: Mapping[str, Any]) -> None:
    if conn.execute(sa.text(statement), dict(values)).rowcount != 1:
        raise LookupError(f"there is no sync run {values['run_id']}")
