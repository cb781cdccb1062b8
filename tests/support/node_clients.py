"""Other people's Node clients for tests: installed once from the npm registry as tests/node_clients locks them.

They go into `.tieout/node_clients/<hash of the lock>`, which git does not see. TIEOUT_NODE_PEERS names a folder that
has them already. Without node, npm or a registry that answers the test is skipped and says so; what else goes wrong
fails.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tieout.model.settings import PROJECT

WANTED = PROJECT / "tests" / "node_clients"
PATIENCE = 240.0  # seconds for an installation, and for a test's program
#: What npm says where no registry answers.
_AWAY = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EIDLETIMEOUT", "ENETUNREACH", "E401",
         "E403", "E502", "E503", "network")  # fmt: skip


def run(script: Path, *words: str) -> Any:
    """What a program of Node's prints as JSON; it finds the clients. Fails with what it said where it ended badly."""
    environment = {**os.environ, "NODE_PATH": str(folder() / "node_modules")}
    done = subprocess.run(
        ["node", str(script), *words], capture_output=True, text=True, timeout=PATIENCE, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def folder() -> Path:
    """Where node_modules is."""
    if given := os.environ.get("TIEOUT_NODE_PEERS"):
        return Path(given)
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not both installed")
    lock = hashlib.sha256((WANTED / "package-lock.json").read_bytes()).hexdigest()[:16]
    there = PROJECT / ".tieout" / "node_clients" / lock
    if not there.is_dir():
        _install(there)
    return there


def _install(there: Path) -> None:
    """As the lock says, beside its place and then in one step into it: two tests at once do no harm."""
    there.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f"{there.name}-", dir=there.parent))
    try:
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(WANTED / name, made)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
        done = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode:
            said = done.stderr.strip()
            if any(word in said for word in _AWAY):
                pytest.skip(f"no npm registry answers: {said.splitlines()[0]}")
            raise AssertionError(said[-4000:])
        try:
            made.rename(there)
        except OSError:
            assert there.is_dir(), f"{there} could not be made"
    finally:
        shutil.rmtree(made, ignore_errors=True)
