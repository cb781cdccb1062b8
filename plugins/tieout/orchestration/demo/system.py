"""Brings up one Tieout system on this machine: PostgreSQL, sandbox, Airflow's four services. Knows no scenario.

Tests use it with DAGs of their own; the demo adds data, runs and a summary.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx

from tieout.model.errors import ConfigurationFault, Retriable
from tieout.orchestration.demo.environment import environment
from tieout.orchestration.demo.places import Places, Secrets, secrets_of, write_connections
from tieout.orchestration.demo.ports import Ports, kept_ports
from tieout.orchestration.demo.programs import Program, Running, start, stop_all
from tieout.orchestration.demo.rest import AirflowApi

#: Seconds until a service must have answered, on a slow machine under load.
PATIENCE = 240.0
_STEP = 0.1
_LOG_TAIL = 15  # lines shown of a program that did not start

#: Makes the Airflow connections from the sandbox's URL.
Connections = Callable[[str], dict[str, dict[str, Any]]]
#: Told when a phase begins to be waited for, and its name.
Told = Callable[[str], None]


@dataclass(slots=True)
class System:
    """A system that is up or coming up. `phases`: name -> seconds since the start at which it was done."""

    places: Places
    ports: Ports
    secrets: Secrets
    store_url: str
    env: dict[str, str]
    began: float
    running: list[Running] = field(default_factory=list)
    phases: dict[str, float] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where Airflow's UI is."""
        return f"http://127.0.0.1:{self.ports.api}"

    @property
    def sandbox_url(self) -> str:
        """Where the vendors' APIs are."""
        return f"http://127.0.0.1:{self.ports.sandbox}"

    def api(self) -> AirflowApi:
        """A client, not yet logged in."""
        return AirflowApi(self.url, "admin", self.secrets.admin_password)

    def done(self, phase: str) -> None:
        """Notes when a phase was done."""
        self.phases[phase] = round(time.monotonic() - self.began, 1)


def mark_of(home: Path) -> str:
    """The value of TIEOUT_DEMO for a home: names the demo's processes and no others."""
    return sha256(str(home.resolve()).encode()).hexdigest()[:24]


def databases(places: Places, given: str | None) -> tuple[str, str]:
    """URLs of the store and of Airflow's metadata: the embedded server's, or both on the server that is given.

    Raises:
        ConfigurationFault: the server does not start, or may not be used.
    """
    from tieout.store import embedded

    if given:
        import sqlalchemy as sa

        url = sa.make_url(given).set(drivername="postgresql+psycopg")
        name = f"{url.database}_airflow"
        embedded.create_database(url.render_as_string(hide_password=False), name)
        airflow = url.set(drivername="postgresql+psycopg2", database=name)
        return url.render_as_string(hide_password=False), airflow.render_as_string(hide_password=False)
    server = embedded.start(places.home)
    server.create_database("airflow")
    return server.url_for("tieout"), server.airflow_url_for("airflow")


def bring_up(
    places: Places,
    *,
    connections: Connections,
    given_database: str | None = None,
    extra: Mapping[str, str] | None = None,
    with_sandbox: Callable[[System], None] = lambda _: None,
    told: Told = lambda _: None,
) -> System:
    """Starts everything and returns once Airflow is healthy.

    Args:
        places: where it lives; a system of the same home that still runs is ended first, its data are kept.
        connections: made from the sandbox's URL; written to connections.json and into Airflow.
        given_database: TIEOUT_DATABASE_URL; None starts the embedded server.
        extra: environment variables beside the usual ones.
        with_sandbox: work that needs store and sandbox only (loading data); done while Airflow starts.
        told: called with a line for the person who waits.

    Raises:
        ConfigurationFault: a part does not start; the message ends with the last lines of its log.
    """
    began = time.monotonic()
    places.make()
    mark = mark_of(places.home)
    stop_all(places.pids, mark)
    with kept_ports(places) as ports:
        secrets = secrets_of(places)
        told("PostgreSQL")
        store_url, airflow_url = databases(places, given_database)
        env = {**environment(places, ports, secrets, store_url, airflow_url, mark), **(extra or {})}
        system = System(places, ports, secrets, store_url, env, began)
        system.done("postgresql")
        write_connections(places, connections(system.sandbox_url))
        _start_all(system, with_sandbox, told)
    return system


def _start_all(system: System, with_sandbox: Callable[[System], None], told: Told) -> None:
    with ThreadPoolExecutor(max_workers=2) as pool:
        told("schema, roles, connections, sandbox")
        try:
            data = pool.submit(_sandbox_and_data, system, with_sandbox)
            _prepare_airflow(system)
            told("Airflow's services")
            for program in services():
                system.running.append(_start(system, program))
            _wait_for_airflow(system)
            told("demo data")
            data.result()
        except BaseException:
            # Also what the other thread waits for: leaving the pool waits for that thread.
            stop_all(system.places.pids, mark_of(system.places.home))
            raise


def take_down(places: Places) -> list[str]:
    """Ends everything of this home, embedded PostgreSQL too; data stay. Returns what was running."""
    ended = stop_all(places.pids, mark_of(places.home)) if places.pids.is_dir() else []
    from tieout.store import embedded

    if (places.home / "postgres").is_dir() and embedded.stop(places.home):
        ended.append("postgresql")
    return ended


def services() -> list[Program]:
    """Airflow's long-running parts, those that a run waits for first."""
    airflow = str(Path(sys.executable).with_name("airflow"))
    return [
        Program("api-server", [airflow, "api-server"]),
        Program("dag-processor", [airflow, "dag-processor"]),
        Program("scheduler", [sys.executable, "-m", "tieout.orchestration.warm", "scheduler", "--skip-serve-logs"]),
        Program("triggerer", [airflow, "triggerer", "--skip-serve-logs"]),
    ]


def _start(system: System, program: Program) -> Running:
    return start(program, system.env, system.places.pids, system.places.logs, system.places.home)


def _sandbox_and_data(system: System, with_sandbox: Callable[[System], None]) -> None:
    from tieout.store import migrate
    from tieout.store.engine import connect

    port, state = str(system.ports.sandbox), str(system.places.sandbox)
    command = [sys.executable, "-m", "sandbox", "serve", "--port", port, "--state", state]
    sandbox = _start(system, Program("sandbox", command))
    system.running.append(sandbox)
    engine = connect(system.store_url)
    try:
        migrate.upgrade(engine)
    finally:
        engine.dispose()
    system.done("store schema")
    _wait(lambda: _answers(f"{system.sandbox_url}/_sandbox/health"), sandbox, system)
    system.done("sandbox")
    with_sandbox(system)
    system.done("demo data")


def _prepare_airflow(system: System) -> None:
    module = "tieout.orchestration.demo.prepare"
    files = [str(system.places.home / "secrets.json"), str(system.places.connections)]
    preparing = _start(system, Program("prepare", [sys.executable, "-m", module, *files]))
    code = _exit_code(preparing)
    if code != 0:
        raise ConfigurationFault(f"Airflow's database could not be prepared:\n{_tail(system, 'prepare')}")
    system.done("airflow schema")


def _exit_code(running: Running) -> int:
    """Waits for a child of ours to end."""
    import os

    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        pid, status = os.waitpid(running.pid, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(_STEP)
    raise Retriable(f"{running.name} did not end within {PATIENCE:.0f} s")


def _wait_for_airflow(system: System) -> None:
    by_name = {program.name: program for program in system.running}
    with system.api() as api:
        _wait(lambda: bool(api.health()), by_name["api-server"], system)
        system.done("api-server")
        for part, program in (
            ("dag_processor", "dag-processor"),
            ("scheduler", "scheduler"),
            ("triggerer", "triggerer"),
        ):
            _wait(lambda part=part: api.health().get(part) == "healthy", by_name[program], system)  # type: ignore[misc]
            system.done(program)


def _wait(ready: Callable[[], bool], program: Running, system: System) -> None:
    """Until `ready()`. Raises ConfigurationFault when the program has ended or the patience has."""
    end = time.monotonic() + PATIENCE
    while not ready():
        if not program.alive or time.monotonic() > end:
            what = "does not answer" if program.alive else "has ended"
            raise ConfigurationFault(f"{program.name} {what}; the end of its log:\n{_tail(system, program.name)}")
        time.sleep(_STEP)


def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url, timeout=5.0, trust_env=False).status_code == httpx.codes.OK
    return False


def _tail(system: System, name: str) -> str:
    log = system.places.logs / f"{name}.log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_TAIL:]) if log.is_file() else "(no log)"


def describe(system: System) -> str:
    """The phases as JSON, for the log and for the benchmark."""
    return json.dumps(system.phases)


def run_module(system: System, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m module` in the system's environment and waits. Raises ConfigurationFault when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=system.env, cwd=system.places.home, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode != 0:
        raise ConfigurationFault(f"{module} {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    return done
