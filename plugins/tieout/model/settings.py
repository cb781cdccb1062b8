"""Where things are on this machine: read once from the environment, no secrets but the database's URL."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from tieout.model.errors import ConfigurationFault

#: The checkout (or the image's /opt/tieout): include/, expectations/ and dags/ are below it.
PROJECT = Path(os.environ.get("TIEOUT_PROJECT", Path(__file__).resolve().parents[3]))

#: Days; what vendors sent is kept no longer, whatever is set.
MOST_HOOK_DAYS = 400


@dataclass(frozen=True, slots=True)
class Settings:
    """Places. `home` holds what a running Tieout writes: embedded PostgreSQL, Data Docs, connections file, logs."""

    project: Path
    home: Path
    database_url: str | None = field(repr=False)
    #: How long what a vendor sent by a webhook is kept: it may name people.
    hook_days: int = 30

    @property
    def include(self) -> Path:
        return self.project / "include"

    @property
    def expectations(self) -> Path:
        return self.project / "expectations"

    @property
    def connections_file(self) -> Path:
        """Airflow's `connections export` JSON, mode 0600; used where Airflow's own store is not at hand."""
        return Path(os.environ.get("TIEOUT_CONNECTIONS_FILE", self.home / "connections.json"))

    def require_database_url(self) -> str:
        """The store's URL (`postgresql+psycopg://...`).

        Raises:
            ConfigurationFault: none is set and no embedded server runs here.
        """
        if self.database_url:
            return self.database_url
        url_file = self.home / "database_url"
        if url_file.is_file():
            return url_file.read_text().strip()
        raise ConfigurationFault(
            f"no database: TIEOUT_DATABASE_URL is not set and {url_file} does not exist; "
            "set the variable, or start the embedded server with `make demo`"
        )


def load_settings() -> Settings:
    """Settings from TIEOUT_PROJECT, TIEOUT_HOME (default `<project>/.tieout`), TIEOUT_DATABASE_URL, TIEOUT_HOOK_DAYS.

    Raises:
        ConfigurationFault: TIEOUT_HOOK_DAYS is no number of days.
    """
    home = Path(os.environ.get("TIEOUT_HOME", PROJECT / ".tieout"))
    days = os.environ.get("TIEOUT_HOOK_DAYS") or "30"
    if not days.isascii() or not days.isdecimal() or not 1 <= int(days) <= MOST_HOOK_DAYS:
        raise ConfigurationFault(
            f"TIEOUT_HOOK_DAYS: expected a number of days from 1 to {MOST_HOOK_DAYS}, found {days!r}"
        )
    url = os.environ.get("TIEOUT_DATABASE_URL") or None
    return Settings(project=PROJECT, home=home, database_url=url, hook_days=int(days))
