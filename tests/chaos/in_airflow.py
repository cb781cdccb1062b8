"""Chaos in a real Airflow: task processes, scheduler and dag processor are killed while runs of one interval meet.

The scheduled run and a manual one deliver at the same time, the scheduled one is cleared on the way, and workers that
a killed scheduler leaves behind go on beside those that the new one starts.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import httpx

from tests.chaos.report import Tally
from tests.e2e.company import company_up, ledger_invoices, link_of, opened, query, until
from tests.proofs.northwind_arithmetic import expected_northwind
from tests.support.demo import ROOT, end, new_home
from tests.support.shared import SHARED
from tieout.delivery.states import chain_of
from tieout.model.errors import Retriable
from tieout.model.link import Link
from tieout.orchestration.demo.programs import Running, marked, start
from tieout.orchestration.demo.rest import AirflowApi
from tieout.orchestration.demo.system import System, mark_of, services
from tieout.store import audit
from tieout.store.engine import connect

#: Seconds for an exchange, and those that each request which makes invoices takes: the ledger is slow, not silent.
TIME_OUT, SECONDS = 8, 3
SLOW = {"system": "xero", "method": "PUT", "path": "*/Invoices*", "fault": "slow", "params": {"seconds": SECONDS}}
#: Share of the good orders that is confirmed when the first, second and third blow falls.
MOMENTS = (0.1, 0.3, 0.5)
#: Times that what has failed is cleared, or another run is made, until all is done.
MOST_TRIES = 8


@dataclass
class Struck:
    """What was done to a system, and what its books were in the end; the lists are empty where all is well."""

    kills: int = 0
    seconds: float = 0.0
    duplicates: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)


def killed_in_airflow(rounds: int) -> Tally:
    """Rounds on Northwind, each with a system of its own and the blows in another order."""
    tally, folder, link = Tally("Airflow: scheduler, dag processor, tasks"), SHARED / "data" / "northwind", "northwind"
    if not folder.exists():
        tally.skipped = "needs data/northwind in the shared folder beside the project (set TIEOUT_SHARED)"
        return tally
    orders = expected_northwind(folder).orders
    for number in range(1, rounds + 1):
        with company_on_schedule(link_of(link), folder) as system:
            struck = strike(system, link_of(link), orders, seed=number)
        tally.runs += 1
        tally.kills += struck.kills
        tally.documents += len(orders)
        tally.seconds.append(struck.seconds)
        for name in ("duplicates", "losses", "differing"):
            tally.wrong[name] += len(getattr(struck, name))
            tally.words += getattr(struck, name)
        tally.wrong["open"] += len(struck.other)
        tally.words += struck.other
    return tally


@contextmanager
def company_on_schedule(link: Link, folder: Path) -> Iterator[System]:
    """A system with the company of a CSV folder, whose DAG has an hourly schedule and lets runs meet."""
    home = new_home()
    try:
        links = home / "links"
        links.mkdir(parents=True)
        text = (ROOT / "include" / "links" / f"{link.name}.yaml").read_text(encoding="utf-8")
        (links / f"{link.name}.yaml").write_text(
            text + '\nschedules:\n  quote_to_cash: "0 * * * *"\n', encoding="utf-8"
        )
        environment = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "tests" / "chaos" / "dags"),
            "TIEOUT_SCHEDULES": "on",
            "TIEOUT_CHAOS_LINKS": str(links),
            # Forks of a killed scheduler seem to hold its sockets: without a bound PostgreSQL would keep its locks.
            "PGOPTIONS": "-c idle_in_transaction_session_timeout=10s",
        }
        yield company_up(home, link, folder, environment, TIME_OUT)
    finally:
        end(home)


def strike(system: System, link: Link, orders: Mapping[str, Decimal], seed: int = 1) -> Struck:
    """Lets the schedule, a manual run and a clear work on the same interval, with a blow at each of MOMENTS.

    Args:
        orders: the number of each good order and its net: what must be billed, each once.
    """
    struck, chance = Struck(), random.Random(seed)
    faults = f"{system.sandbox_url}/_sandbox/faults"
    httpx.post(faults, json={"seed": 1, "rules": [SLOW]}, timeout=30).raise_for_status()
    blows: list[Callable[[System], int]] = [_tasks, _scheduler_without_its_tasks, _scheduler_and_all_of_its]
    if seed > 1:
        chance.shuffle(blows)
    with opened(system, f"quote_to_cash__{link.name}") as (api, dag_id):
        until(lambda: bool(api.run_ids(dag_id)))
        (scheduled,) = api.run_ids(dag_id)
        manual = api.trigger(dag_id)
        for moment, blow in zip(MOMENTS, blows, strict=True):
            until(lambda: _confirmed(system) >= moment * len(orders), 0.05)  # noqa: B023 - called before the next moment
            struck.kills += blow(system) + _kill_program(system, "dag-processor")
            _restart(system)
            _leases_of_the_dead_are_over(system)
            if blow is blows[1]:
                _clear(api, dag_id, scheduled, ["deliver"])
            # The next blow is to meet a scheduler and a dag processor that work.
            struck_at = datetime.now(UTC)
            until(lambda: _have_worked_since(system, struck_at))  # noqa: B023 - called before the next blow
        began = time.monotonic()
        httpx.delete(faults, timeout=30).raise_for_status()
        _let_it_finish(api, dag_id, [scheduled, manual], system)
        struck.seconds = time.monotonic() - began
    _judge(system, link, orders, struck)
    return struck


# --- blows ------------------------------------------------------------------------------------------------------------


def _tasks(system: System) -> int:
    """The processes that deliver, and nothing else: their supervisors tell Airflow."""
    # Between two tries nobody does; after the other blows, all may be done already.
    until(lambda: bool(_deliverers(system)) or not _open(system), 0.05)
    return sum(_kill(pid) for pid in _deliverers(system))


def _scheduler_without_its_tasks(system: System) -> int:
    """Scheduler, executor's workers and supervisors; what delivers goes on, and nobody knows of it any more."""
    scheduler, spared = _running(system, "scheduler"), set(_deliverers(system))
    group = [pid for pid in marked(mark_of(system.places.home)) if pid not in spared and _group(pid) == scheduler.pid]
    killed = sum(_kill(pid) for pid in group)
    until(lambda: not scheduler.alive, 0.05)
    return killed


def _scheduler_and_all_of_its(system: System) -> int:
    """Scheduler, executor's workers, supervisors and tasks, as when a machine is switched off."""
    pids = _deliverers(system)
    return _kill_program(system, "scheduler") + sum(_kill(pid) for pid in pids)


def _deliverers(system: System) -> list[int]:
    """Processes of this system whose name stands on a claim or an open send."""
    rows = query(system, "select distinct worker from tieout.intent where worker is not null")
    named = {int(row.worker.split(":")[2]) for row in rows}
    return sorted(named & set(marked(mark_of(system.places.home))))


def _running(system: System, name: str) -> Running:
    return next(program for program in reversed(system.running) if program.name == name)


def _kill_program(system: System, name: str) -> int:
    program = _running(system, name)
    was_alive = program.alive
    program.signal(signal.SIGKILL)
    until(lambda: not program.alive, 0.05)
    return int(was_alive)


def _group(pid: int) -> int:
    with suppress(ProcessLookupError):
        return os.getpgid(pid)
    return 0


def _kill(pid: int) -> int:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return 1
    return 0


def _restart(system: System) -> None:
    """Starts again those of Airflow's services that are dead."""
    places = system.places
    for program in services():
        if not _running(system, program.name).alive:
            system.running.append(start(program, system.env, places.pids, places.logs, places.home))


def _have_worked_since(system: System, moment: datetime) -> bool:
    """Whether scheduler and dag processor have shown life since then (Airflow calls the dead healthy for a while)."""
    said = httpx.get(f"{system.url}/api/v2/monitor/health", timeout=30, trust_env=False).json()
    beats = [said[name][f"latest_{name}_heartbeat"] for name in ("scheduler", "dag_processor")]
    return all(beat is not None and datetime.fromisoformat(beat) > moment for beat in beats)


def _leases_of_the_dead_are_over(system: System) -> None:
    """What workers that are no more had in hand, as it is a quarter of an hour later; the living keep their leases."""
    alive = [f":{pid}:" for pid in _deliverers(system)]
    query(
        system,
        "update tieout.intent set lease_until = lease_until - interval '15 minutes', sent_at = sent_at - interval "
        "'15 minutes' where worker is not null and state in ('CLAIMED', 'IN_FLIGHT', 'UNKNOWN') "
        "and not exists (select from unnest(cast(:alive as text[])) as one where position(one in worker) > 0)",
        alive=alive,
    )


# --- the end ----------------------------------------------------------------------------------------------------------


def _confirmed(system: System) -> int:
    if query(system, "select to_regclass('tieout.intent')")[0][0] is None:
        return 0
    sql = "select count(*) from tieout.intent where kind = 'invoice' and state = 'CONFIRMED'"
    return int(query(system, sql)[0][0])


def _open(system: System) -> int:
    sql = "select count(*) from tieout.intent where state in ('READY', 'CLAIMED', 'IN_FLIGHT', 'UNKNOWN')"
    return int(query(system, sql)[0][0])


def _clear(api: AirflowApi, dag_id: str, run_id: str, task_ids: list[str]) -> None:
    """Clears, again where Airflow was waiting for a lock of a dead scheduler."""
    for remaining in reversed(range(5)):
        try:
            return api.clear(dag_id, run_id, task_ids)
        except (httpx.TransportError, Retriable):
            if not remaining:
                raise
    return None


def _let_it_finish(api: AirflowApi, dag_id: str, run_ids: list[str], system: System) -> None:
    """Until every run has ended and nothing is open. A person clears what failed, and the next hour brings a run."""
    for _ in range(MOST_TRIES):
        until(lambda ids=run_ids: all(api.run_state(dag_id, one) in ("success", "failed") for one in ids))  # type: ignore[misc]
        _leases_of_the_dead_are_over(system)
        failed = [one for one in run_ids if api.run_state(dag_id, one) == "failed"]
        if not failed and _open(system) == 0:
            return
        for one in failed:
            states = {name: task["state"] for name, task in api.task_states(dag_id, one).items()}
            _clear(api, dag_id, one, [name for name, state in states.items() if state != "success"])
        if not failed:
            run_ids = [api.trigger(dag_id)]
    raise AssertionError(f"not finished after {MOST_TRIES} tries")


def _judge(system: System, link: Link, orders: Mapping[str, Decimal], struck: Struck) -> None:
    found: dict[str, list[Decimal]] = {}
    for invoice in ledger_invoices(system, link):
        found.setdefault(invoice["Reference"], []).append(invoice["SubTotal"])
    struck.duplicates += [f"order {one}: {len(nets)} invoices" for one, nets in found.items() if len(nets) > 1]
    struck.losses += [f"order {one} is not billed" for one in orders if one not in found]
    struck.differing += [
        f"order {one}: billed {nets[0]}, good for {orders[one]}"
        for one, nets in found.items()
        if one in orders and nets[0] != orders[one]
    ]
    struck.other += [f"order {one} is billed and should not be" for one in found if one not in orders]
    engine = connect(system.store_url)
    with engine.connect() as conn:
        for target in (link.ledger, link.crm):
            if (broken := audit.verify(conn, chain_of(target))) is not None:
                struck.other.append(f"audit chain of {target}: {broken}")
    engine.dispose()
