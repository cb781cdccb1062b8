"""Where things are on this machine: read once from the environment, no secrets but the database's URL."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from tieout.model.errors import ConfigurationFault

#: The checkout (or the image's /opt/tieout): include/, expectations/ and dags/ are below it.
PROJECT = Path(os.environ.get("TIEOUT_PROJECT", Path(__file__).resolve().parents[3]))


@dataclass(frozen=True, slots=True)
class Settings:
    """Places. `home` holds what a running Tieout writes: embedded PostgreSQL, Data Docs, connections file, logs."""

    project: Path
    home: Path
    database_url: str | None = field(repr=False)

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
    """Settings from TIEOUT_PROJECT, TIEOUT_HOME (default `<project>/.tieout`) and TIEOUT_DATABASE_URL."""
    home = Path(os.environ.get("TIEOUT_HOME", PROJECT / ".tieout"))
    return Settings(project=PROJECT, home=home, database_url=os.environ.get("TIEOUT_DATABASE_URL") or None)
