"""The connection types that Airflow shows, with their forms. Read by Airflow through the package's entry point.

No connector and nothing of Airflow is imported here: every Airflow process reads this at start.
"""

from __future__ import annotations

from typing import Any

from tieout.connectors import systems


def get_provider_info() -> dict[str, Any]:
    """Airflow's description of this package: a connection type for each system, whose `password` Airflow hides."""
    return {
        "package-name": "tieout",
        "name": "Tieout",
        "description": "Joins a CRM to a ledger and proves that the two agree.",
        "connection-types": [_type(name) for name in systems.names()],
    }


def _type(name: str) -> dict[str, Any]:
    form = systems.form_of(name)
    return {
        "connection-type": f"{systems.PREFIX}{name}",
        "hook-class-name": f"tieout.orchestration.hooks.{hook_class(name)}",
        "hook-name": f"{form['label']} (Tieout)",
        "ui-field-behaviour": form["ui-field-behaviour"],
        "conn-fields": form["conn-fields"],
    }


def hook_class(name: str) -> str:
    """The name of a system's class in hooks.py."""
    return f"{name.title().replace('_', '')}Hook"
