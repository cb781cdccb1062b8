"""The real sandbox as a process of its own, over real HTTP.

`sandbox` is what a test wants: `.url`, everything reset. `sandbox.restart()` and `sandbox.kill()` keep URL and state.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT = 60  # seconds
STOP_LIMIT = 15  # seconds


class SandboxProcess:
    """One sandbox; the URL stays the same over restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._http = httpx.Client(timeout=30)

    def start(self) -> None:
        """Starts and waits until it answers."""
        port = self.url.rpartition(":")[2] or "0"
        command = [sys.executable, "-m", "sandbox", "serve", "--port", port, "--state", str(self.folder / "state")]
        self._log = (self.folder / "sandbox.log").open("ab")
        environment = dict(os.environ, PYTHONPATH=str(ROOT))
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._log, env=environment, cwd=self.folder
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(STOP_LIMIT)
            raise RuntimeError(f"the sandbox did not start:\n{self.log()}")
        self.url = json.loads(line)["url"]
        self._wait_for_health()

    def stop(self) -> None:
        """SIGTERM: open requests are answered first."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: nothing is said goodbye to. Start it again by `start()`."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop, then start on the same state."""
        self.stop()
        self.start()

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def reset(self) -> None:
        """Everything as new: records, settings, faults."""
        self._http.post(f"{self.url}/_sandbox/reset").raise_for_status()

    def faults(self, *rules: Mapping[str, Any], seed: int = 1) -> None:
        """Sets the fault plan."""
        answer = self._http.post(f"{self.url}/_sandbox/faults", json={"seed": seed, "rules": list(rules)})
        assert answer.status_code == 200, answer.text

    def hits(self) -> list[dict[str, Any]]:
        """What the fault plan did so far."""
        hits: list[dict[str, Any]] = self._http.get(f"{self.url}/_sandbox/faults").json()["hits"]
        return hits

    def apply_late(self) -> None:
        """Lets the requests that `late_apply` holds back be applied now."""
        self._http.post(f"{self.url}/_sandbox/faults/late").raise_for_status()

    def settings(self, system: str, **changes: Any) -> None:
        """Changes settings of one system."""
        answer = self._http.patch(f"{self.url}/_sandbox/settings", json={system: changes})
        assert answer.status_code == 200, answer.text

    def log(self) -> str:
        """What the process wrote to standard error."""
        return (self.folder / "sandbox.log").read_text()

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        if self.running():
            self.process.send_signal(how)
        self.process.wait(STOP_LIMIT)
        if self.process.stdout:
            self.process.stdout.close()
        if self._log:
            self._log.close()
        self.process = None

    def _wait_for_health(self) -> None:
        end = time.monotonic() + START_LIMIT
        while True:
            try:
                self._http.get(f"{self.url}/_sandbox/health", timeout=5).raise_for_status()
                return
            except httpx.TransportError:
                if time.monotonic() > end or not self.running():
                    raise RuntimeError(f"the sandbox does not answer:\n{self.log()}") from None
                time.sleep(0.05)


@contextmanager
def new_sandbox() -> Iterator[SandboxProcess]:
    """A started one, which ends with its state."""
    with tempfile.TemporaryDirectory(prefix="tieout-sandbox-") as folder:
        process = SandboxProcess(Path(folder))
        process.start()
        try:
            yield process
        finally:
            process.stop()


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[SandboxProcess]:
    """One sandbox for the session, with whatever the tests before left in it."""
    with new_sandbox() as process:
        yield process


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess) -> SandboxProcess:
    """The session's sandbox, reset; started again when a test before left it killed."""
    if not sandbox_process.running():
        sandbox_process.stop()
        sandbox_process.start()
    sandbox_process.reset()
    return sandbox_process
