"""One run of a scenario in a process of its own, step by step; prints what it took as one JSON object.

    TIEOUT_HOME=... python -m bench.scenario_run [--scenario quote_to_cash] [--profile FILE] [--statements]

With --statements the slowest SQL statements of each step go to standard error, as the client waits for them.
"""

from __future__ import annotations

import argparse
import cProfile
import importlib
import json
import logging
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Engine

from bench import cpu

if TYPE_CHECKING:
    from tieout.scenarios.services import Services


def main() -> None:
    """Opens the link `demo`, runs all steps, prints."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scenario", default="quote_to_cash")
    options.add_argument("--profile")
    options.add_argument("--statements", action="store_true")
    options.add_argument("--postgres", type=int, help="the postmaster's process id")
    options.add_argument("--sandbox", type=int, help="the sandbox's process id")
    given = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    logging.disable(logging.INFO)
    from tieout.scenarios.services import open_services

    scenario = importlib.import_module(f"tieout.scenarios.{given.scenario}")
    steps: dict[str, dict[str, object]] = {}
    with _profile(given.profile), open_services("demo") as services:
        waited = time_statements(services.engine)
        run_id = scenario.start(services)
        for name in scenario.STEPS:
            wall, mine, others = time.perf_counter(), time.process_time(), _others(given)
            received = {side.system: side.connector.counters.bytes_received for side in (services.crm, services.ledger)}
            numbers = getattr(scenario, name)(services, run_id)
            steps[name] = {
                "seconds": time.perf_counter() - wall, "cpu": time.process_time() - mine, "numbers": numbers,
                "in_sql": waited.total(),
                "bytes_received": {
                    side.system: side.connector.counters.bytes_received - received[side.system]
                    for side in (services.crm, services.ledger)
                },
                **{which: used - others[which] for which, used in _others(given).items()},
            }  # fmt: skip
            if given.statements:
                for statement, seconds in waited.most_common(6):
                    print(f"    {name}: {seconds:6.2f} s  {statement}", file=sys.stderr)
            waited.clear()
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "steps": steps,
                "cpu": used.ru_utime + used.ru_stime,
                "peak_mib": used.ru_maxrss / 1024,
            },
            default=str,
        )
    )


def timed_steps(scenario: ModuleType, services: Services) -> dict[str, Any]:
    """One run in this process: the numbers of each step by its name, `took`: seconds of each, `seconds`: of all."""
    took: dict[str, float] = {}
    told: dict[str, Any] = {"took": took}
    began = time.perf_counter()
    run_id = scenario.start(services)
    for name in scenario.STEPS:
        started = time.perf_counter()
        told[name] = getattr(scenario, name)(services, run_id)
        took[name] = time.perf_counter() - started
        print(f"  {name}: {took[name]:.1f} s", file=sys.stderr, flush=True)
    return {**told, "seconds": time.perf_counter() - began}


def _others(given: argparse.Namespace) -> dict[str, float]:
    """CPU seconds of PostgreSQL and of the sandbox so far; nothing where the system has no /proc."""
    pids = {"postgres_cpu": given.postgres, "sandbox_cpu": given.sandbox}
    return {which: cpu.of(pid) for which, pid in pids.items() if pid and cpu.is_known()}


def time_statements(engine: Engine) -> Counter[str]:
    """Seconds by the statement's first words, as the client waits for them; COPY and the driver's own are not in it."""
    seconds: Counter[str] = Counter()

    @sa.event.listens_for(engine, "before_cursor_execute")
    def before(conn, cursor, statement, parameters, context, many):  # type: ignore[no-untyped-def]
        conn.info["started"] = time.perf_counter()

    @sa.event.listens_for(engine, "after_cursor_execute")
    def after(conn, cursor, statement, parameters, context, many):  # type: ignore[no-untyped-def]
        seconds[" ".join(statement.split())[:110]] += time.perf_counter() - conn.info["started"]

    return seconds


@contextmanager
def _profile(file: str | None) -> Iterator[None]:
    if file is None:
        yield
        return
    profiler = cProfile.Profile()
    with profiler:
        yield
    profiler.dump_stats(file)


if __name__ == "__main__":
    main()
