"""Whole systems for slow tests, on this machine.

Each lives in a temporary home on free ports. Whoever brings one up ends it with its last test: an idle Airflow takes a
quarter of a core.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tieout.orchestration.demo.places import Places
from tieout.orchestration.demo.rest import AirflowApi
from tieout.orchestration.demo.system import take_down

ROOT = Path(__file__).resolve().parents[2]
#: Seconds for the whole demo on a machine that others load, too.
DEMO_LIMIT = 600


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that is up: what it printed, and where it is."""

    home: Path
    printed: str
    exit_code: int

    @property
    def told(self) -> str:
        """What it printed, without the breaks that the width of a terminal makes."""
        return " ".join(self.printed.split())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._read('ports.json')['api']}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self._read('ports.json')['sandbox']}"

    @property
    def password(self) -> str:
        return str(self._read("secrets.json")["admin_password"])

    @property
    def database_url(self) -> str:
        return (self.home / "database_url").read_text().strip()

    def api(self) -> AirflowApi:
        """Logged in as the admin."""
        api = AirflowApi(self.url, "admin", self.password)
        api.log_in()
        return api

    def _read(self, name: str) -> dict[str, str]:
        value: dict[str, str] = json.loads((self.home / name).read_text())
        return value


def demo_command(home: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """The command that the Makefile runs, and its environment."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "TIEOUT_"))}
    environment |= {"TIEOUT_HOME": str(home), "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"}
    return [sys.executable, "-m", "tieout.orchestration.demo", *arguments], environment


def new_home() -> Path:
    """Not pytest's tmp_path: that is closed to the system user which PostgreSQL runs as when we are root."""
    return Path(tempfile.mkdtemp(prefix="tieout-demo-"))


def end(home: Path) -> None:
    """Ends everything of a home, and removes it."""
    take_down(Places(ROOT, home))
    shutil.rmtree(home, ignore_errors=True)
