"""Connections for a shell: `AIRFLOW_CONN_<ID>` variables, or a file as `airflow connections export` writes it.

Inside Airflow the connections come from orchestration/connections.py instead.
"""

from __future__ import annotations

import json
import os
from typing import Any

from tieout.connectors.systems import connection_types
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import Settings


def from_environment(name: str, settings: Settings) -> Connection:
    """The connection of this name.

    Raises:
        ConfigurationFault: it is nowhere, is not JSON, or the file can be read by others.
    """
    variable = f"AIRFLOW_CONN_{name.upper()}"
    if variable in os.environ:
        return _connection(name, _parsed(os.environ[variable], variable), variable)
    path = settings.connections_file
    if not path.is_file():
        raise ConfigurationFault(
            f"no connection {name!r}: set {variable} (JSON), "
            f"or export it with `airflow connections export` to {path.name}"
        )
    if path.stat().st_mode & 0o077:
        raise ConfigurationFault(f"{path.name} holds secrets and can be read by others: chmod 600 it")
    entries = _parsed(path.read_text(), path.name)
    if name not in entries:
        raise ConfigurationFault(f"{path.name}: no connection {name!r}; it has {', '.join(sorted(entries)) or 'none'}")
    return _connection(name, entries[name], path.name)


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        # The text itself may hold a secret: only the position is told.
        raise ConfigurationFault(f"{where}: not JSON (line {error.lineno}, column {error.colno})") from None
    if not isinstance(value, dict):
        raise ConfigurationFault(f"{where}: expected a JSON object")
    return value


def _connection(name: str, entry: object, where: str) -> Connection:
    if not isinstance(entry, dict):
        # Airflow exports URIs too (`--serialization-format uri`), which hold the secret in the middle of the text.
        raise ConfigurationFault(f"{where}: connection {name!r} is no JSON object; export it as JSON")
    kind = str(entry.get("conn_type", ""))
    types = connection_types()
    if kind not in types:
        raise ConfigurationFault(f"{where}: connection {name!r} has type {kind!r}; expected {' or '.join(types)}")
    extra = entry.get("extra") or {}
    if isinstance(extra, str):
        extra = _parsed(extra, where)
    return Connection(
        name=name,
        system=types[kind],
        host=str(entry.get("host") or ""),
        login=str(entry.get("login") or ""),
        password=str(entry.get("password") or ""),
        extra=extra,
    )
