"""The command line as a person has it: a real migrated database, a home of its own, and no secret in any output."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.sandbox import SandboxProcess
from tieout.cli import app, show
from tieout.model.connection import Connection

#: Stands in the connections file of every test here, and must never be seen again.
SECRET = "correct-horse-battery-staple"

Command = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """TIEOUT_HOME of the command."""
    return tmp_path


@pytest.fixture
def command(database_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`command("dead-letters", "list")` runs it in a wide terminal."""
    monkeypatch.setenv("TIEOUT_DATABASE_URL", database_url)
    monkeypatch.setenv("TIEOUT_HOME", str(home))
    monkeypatch.delenv("TIEOUT_CONNECTIONS_FILE", raising=False)
    monkeypatch.setattr(show.console, "width", 400)
    secrets = [SECRET, "sandbox-secret", sa.make_url(database_url).password]

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(app, list(arguments))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception  # a traceback is never an answer
        assert not [secret for secret in secrets if secret and secret in result.output]
        return result

    return run


@pytest.fixture
def connect_demo(home: Path) -> Callable[..., None]:
    """Writes connections.json for the link `demo`: the sandbox's two systems, `password` instead of the right one."""

    def write(sandbox: SandboxProcess, password: str | None = None) -> None:
        both = (crm_connection(sandbox), ledger_connection(sandbox))
        write_connections(home, *both, password=password)

    return write


def write_connections(home: Path, *connections: Connection, password: str | None = None) -> Path:
    """The file as `airflow connections export` writes it, readable by its owner alone."""
    path = home / "connections.json"
    entries = {
        one.name: {
            "conn_type": f"tieout_{one.system}", "host": one.host, "login": one.login,
            "password": password or one.password, "extra": json.dumps(dict(one.extra)),
        }
        for one in connections
    }  # fmt: skip
    path.touch(mode=0o600)
    path.write_text(json.dumps(entries))
    return path
