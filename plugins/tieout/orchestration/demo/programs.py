"""Starts and stops programs that outlive the one that started them, and knows by pid and start time which are ours.

A pid alone is not enough: after a reboot it may be somebody else's. Each program leads a session of its own, so that
Ctrl-C in the terminal reaches the supervisor only, which then ends them in order.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Seconds that programs get to end by themselves after SIGTERM; then SIGKILL.
GRACE = 12.0
_STEP = 0.05
#: The variable whose value marks every process of one demo, children of children too.
MARK = "TIEOUT_DEMO"


@dataclass(frozen=True, slots=True)
class Program:
    """What to start.

    Attributes:
        name: of the pid file and the log file.
        command: with its full path.
    """

    name: str
    command: Sequence[str]


@dataclass(frozen=True, slots=True)
class Running:
    """A process that was started by us and is (or was) there. `started` is the kernel's start time of that pid."""

    name: str
    pid: int
    started: str

    @property
    def alive(self) -> bool:
        _reap(self.pid)
        return start_time(self.pid) == self.started

    def signal(self, number: int) -> None:
        """To the process and all of its group; nothing happens when it is gone."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)


def start(program: Program, environment: Mapping[str, str], pids: Path, logs: Path, cwd: Path) -> Running:
    """Starts it in a session of its own; output goes to `<logs>/<name>.log`, the pid to `<pids>/<name>.json`."""
    with (logs / f"{program.name}.log").open("ab") as log:
        process = subprocess.Popen(
            list(program.command),
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Running(program.name, process.pid, start_time(process.pid) or "gone")
    (pids / f"{program.name}.json").write_text(json.dumps({"pid": running.pid, "started": running.started}))
    # The supervisor ends before its programs do: Popen must not complain that they still run.
    process.returncode = 0
    return running


def known(pids: Path) -> list[Running]:
    """What the pid files name, alive or not."""
    found = []
    for file in sorted(pids.glob("*.json")):
        with contextlib.suppress(ValueError, KeyError):
            entry = json.loads(file.read_text())
            found.append(Running(file.stem, int(entry["pid"]), str(entry["started"])))
    return found


def stop_all(pids: Path, mark: str) -> list[str]:
    """Ends every program that a pid file names and that is still ours, then whatever else bears the mark.

    Returns:
        The names of the programs that were running, and `pid N` for each straggler.
    """
    ours = [program for program in known(pids) if program.alive]
    _end(ours)
    stragglers = [Running(f"pid {pid}", pid, start_time(pid) or "gone") for pid in marked(mark)]
    _end_single(stragglers)
    for file in pids.glob("*.json"):
        file.unlink()
    return [program.name for program in ours + stragglers]


def marked(mark: str) -> list[int]:
    """Pids of other processes whose environment bears the mark (Linux; elsewhere none can be seen)."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0") and int(folder.name) != os.getpid():
                found.append(int(folder.name))
    return found


def start_time(pid: int) -> str | None:
    """The kernel's start time of a live process, None when there is none (a zombie counts as none)."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if after_name[0] == "Z" else after_name[19]
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip() or None


def _end(programs: Sequence[Running]) -> None:
    for program in programs:
        program.signal(signal.SIGTERM)
    _wait(programs)
    for program in programs:
        program.signal(signal.SIGKILL)
    _wait(programs)


def _end_single(programs: Sequence[Running]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        for program in programs:
            if program.alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(program.pid, number)
        _wait(programs)


def _wait(programs: Iterable[Running]) -> None:
    end = time.monotonic() + GRACE
    while any(program.alive for program in programs) and time.monotonic() < end:
        time.sleep(_STEP)


def _reap(pid: int) -> None:
    """A child of ours that has ended stays as a zombie until somebody asks for it."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
