"""Where one demo lives: folders and secrets, made once and found again by the next `make demo`. Ports: ports.py."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of one demo; `home` is `<project>/.tieout` unless TIEOUT_HOME says otherwise."""

    project: Path
    home: Path

    @property
    def airflow(self) -> Path:
        return self.home / "airflow"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def pids(self) -> Path:
        return self.home / "pids"

    @property
    def sandbox(self) -> Path:
        return self.home / "sandbox"

    @property
    def connections(self) -> Path:
        return self.home / "connections.json"

    def make(self) -> None:
        """Makes the folders; others may pass through (embedded PostgreSQL has its own user) but not look in."""
        for folder in (self.home, self.airflow, self.logs, self.pids, self.sandbox):
            folder.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o711)
        for folder in (self.airflow, self.logs, self.pids, self.sandbox):
            folder.chmod(0o700)


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """Made once for one demo, mode 0600; never logged."""

    fernet_key: str
    jwt_secret: str
    api_secret: str
    admin_password: str


def secrets_of(places: Places) -> Secrets:
    """The demo's secrets, made at the first time."""
    file = places.home / "secrets.json"
    known = read_json(file)
    names = [field.name for field in fields(Secrets)]
    if set(names) <= known.keys():
        return Secrets(**{name: known[name] for name in names})
    made = Secrets(
        fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        jwt_secret=secrets.token_hex(32),
        api_secret=secrets.token_hex(32),
        admin_password=secrets.token_urlsafe(15),
    )
    write_private(file, {**asdict(made), **known})
    return Secrets(**{**asdict(made), **{name: known[name] for name in names if name in known}})


def write_connections(places: Places, connections: dict[str, dict[str, Any]]) -> None:
    """Writes connections.json as `airflow connections export` does, mode 0600."""
    write_private(places.connections, connections)


def write_private(file: Path, value: Any) -> None:
    """Writes JSON that nobody else may read, in one step."""
    handle = os.open(file.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        json.dump(value, out, indent=1)
    file.with_suffix(".new").replace(file)


def read_json(file: Path) -> dict[str, Any]:
    """What such a file holds; empty where it is not there."""
    if not file.is_file():
        return {}
    value: dict[str, Any] = json.loads(file.read_text())
    return value
