"""Connections to both sides of the sandbox fixture, as Airflow would hold them."""

from __future__ import annotations

from tests.support.sandbox import SandboxProcess
from tieout.model.connection import Connection


def crm_connection(sandbox: SandboxProcess, name: str = "salesforce_demo") -> Connection:
    """The sandbox's Salesforce."""
    return Connection(
        name, "salesforce", f"{sandbox.url}/salesforce", "sandbox-consumer", "sandbox-secret",
        {"allowed_hosts": "127.0.0.1"},
    )  # fmt: skip


def ledger_connection(sandbox: SandboxProcess, name: str = "xero_demo") -> Connection:
    """The sandbox's Xero."""
    url = f"{sandbox.url}/xero"
    return Connection(
        name, "xero", url, "sandbox-client", "sandbox-secret",
        {"token_url": f"{url}/connect/token", "allowed_hosts": "127.0.0.1"},
    )  # fmt: skip
