"""Workers by fork: one process that has imported everything, has no threads and no sockets, and forks on demand.

A fresh interpreter takes a second for its imports, a fork a millisecond. `python -m tests.chaos.nursery FD` is the
server; `Nursery` is its client. When the client goes away, the server kills what it has forked and ends.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from tests.chaos.worker import Job, work
from tieout.model import logs

PROJECT = Path(__file__).resolve().parents[2]
#: Seconds between two looks at children that may have ended.
TICK = 0.01
#: Seconds after which a worker that should have ended is stuck.
PATIENCE = 120.0


@dataclass
class Child:
    """One worker. `code` is None while it lives; negative where a signal ended it."""

    nursery: Nursery
    pid: int
    job: Job
    code: int | None = None
    is_stopped: bool = False

    def signal(self, number: signal.Signals) -> None:
        """To this process alone, if it has not ended."""
        self.nursery.listen()
        if self.code is None:
            os.kill(self.pid, number)
            if number == signal.SIGCONT:
                self.is_stopped = False

    def poll(self) -> int | None:
        """Its exit code, None while it lives."""
        self.nursery.listen()
        return self.code

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit code, once it has ended."""
        end = time.monotonic() + patience
        while self.poll() is None:
            if time.monotonic() > end:
                raise AssertionError(f"worker {self.job.name} ({self.job.point}) did not end within {patience:g} s")
            self.nursery.listen(TICK)
        assert self.code is not None
        return self.code


class Nursery:
    """The client: starts workers and hears of their end."""

    def __init__(self, log: Path) -> None:
        ours, theirs = socket.socketpair()
        self._socket, self._pending = ours, b""
        self._children: dict[int, Child] = {}
        self.log = log
        path = os.pathsep.join([str(PROJECT / "plugins"), str(PROJECT)])
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.nursery", str(theirs.fileno())],
                cwd=PROJECT, env={**os.environ, "PYTHONPATH": path}, pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
        theirs.close()

    def start(self, job: Job) -> Child:
        """Forks a worker; returns at once."""
        self._socket.sendall(json.dumps(asdict(job)).encode() + b"\n")
        started: list[int] = []
        while not started:
            self.listen(PATIENCE, started)
        child = self._children[started[0]] = Child(self, started[0], job)
        return child

    def listen(self, patience: float = 0.0, started: list[int] | None = None) -> None:
        """Takes what the server has said; waits for it at most so long."""
        while select.select([self._socket], [], [], patience)[0]:
            patience = 0.0
            data = self._socket.recv(65536)
            if not data:
                raise AssertionError(f"the nursery has ended:\n{self.log.read_text()[-4000:]}")
            *lines, self._pending = (self._pending + data).split(b"\n")
            for line in lines:
                self._hear(json.loads(line), started)

    def _hear(self, said: dict[str, Any], started: list[int] | None) -> None:
        if said["what"] == "started":
            assert started is not None
            started.append(said["pid"])
        elif said["what"] == "stopped":
            self._children[said["pid"]].is_stopped = True
        else:
            self._children.pop(said["pid"]).code = said["code"]

    def living(self) -> list[Child]:
        """Workers that have not ended."""
        self.listen()
        return list(self._children.values())

    def end_all(self) -> None:
        """Kills every worker that lives; returns when all have ended."""
        for child in self.living():
            child.signal(signal.SIGKILL)
        for child in self.living():
            child.wait()

    def close(self) -> None:
        """Ends the server and what it forked."""
        self._socket.close()
        self._process.wait(PATIENCE)


# --- the server -------------------------------------------------------------------------------------------------------


def serve(fd: int) -> None:
    """Forks for each job that comes in, and tells what becomes of the children."""
    logs.configure()
    client, pending, living = socket.socket(fileno=fd), b"", set[int]()
    while True:
        readable = bool(select.select([client], [], [], TICK)[0])
        data = client.recv(65536) if readable else None
        if data == b"":
            break
        *lines, pending = (pending + (data or b"")).split(b"\n")
        for line in lines:
            pid = _fork(client, Job(**json.loads(line)))
            living.add(pid)
            _tell(client, what="started", pid=pid)
        _bury(client, living)
    for pid in living:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _fork(client: socket.socket, job: Job) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        client.close()
        code = work(job)
    except Exception:  # noqa: BLE001 - it is printed, and its exit code tells the campaign
        traceback.print_exc()
    finally:
        _flush(sys.stdout, sys.stderr)
        os._exit(code)


def _bury(client: socket.socket, living: set[int]) -> None:
    while living:
        pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
        if pid == 0:
            return
        if os.WIFSTOPPED(status):
            _tell(client, what="stopped", pid=pid)
            continue
        living.discard(pid)
        _tell(client, what="ended", pid=pid, code=os.waitstatus_to_exitcode(status))


def _tell(client: socket.socket, **said: Any) -> None:
    client.sendall(json.dumps(said).encode() + b"\n")


def _flush(*streams: IO[str]) -> None:
    for stream in streams:
        stream.flush()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
