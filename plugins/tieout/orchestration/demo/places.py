"""Where one demo lives: folders, ports and secrets, made once and found again by the next `make demo`."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

#: Tried first, so that the address in the browser stays the same.
PREFERRED_PORTS = {"api": 8080, "sandbox": 8090}


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


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on 127.0.0.1."""

    api: int
    sandbox: int


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """Made once for one demo, mode 0600; never logged."""

    fernet_key: str
    jwt_secret: str
    api_secret: str
    admin_password: str


def ports_of(places: Places) -> Ports:
    """The ports of the last time where they are free, else the preferred ones, else any."""
    known = _read(places.home / "ports.json")
    chosen: dict[str, int] = {}
    for name, preferred in PREFERRED_PORTS.items():
        wishes = [port for port in (known.get(name), preferred) if port and port not in chosen.values()]
        chosen[name] = next((port for port in wishes if _is_free(port)), 0) or _any_free_port()
    _write_private(places.home / "ports.json", chosen)
    return Ports(**chosen)


def secrets_of(places: Places) -> Secrets:
    """The demo's secrets, made at the first time."""
    file = places.home / "secrets.json"
    known = _read(file)
    names = [field.name for field in fields(Secrets)]
    if set(names) <= known.keys():
        return Secrets(**{name: known[name] for name in names})
    made = Secrets(
        fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        jwt_secret=secrets.token_hex(32),
        api_secret=secrets.token_hex(32),
        admin_password=secrets.token_urlsafe(15),
    )
    _write_private(file, {**asdict(made), **known})
    return Secrets(**{**asdict(made), **{name: known[name] for name in names if name in known}})


def write_connections(places: Places, connections: dict[str, dict[str, Any]]) -> None:
    """Writes connections.json as `airflow connections export` does, mode 0600."""
    _write_private(places.connections, connections)


def _write_private(file: Path, value: Any) -> None:
    handle = os.open(file.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        json.dump(value, out, indent=1)
    file.with_suffix(".new").replace(file)


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    value: dict[str, Any] = json.loads(file.read_text())
    return value


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _any_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
