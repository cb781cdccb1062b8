"""What a person is asked for when a connection is made: the words of the form, plain data without an import.

Each system has its own in `<system>/form.py`. Airflow shows them (orchestration/provider.py); every Airflow process
reads them at start.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": ["string", "null"]}


def field(label: str, description: str, **schema: Any) -> dict[str, Any]:
    """One field of the form beside host, login and password; it becomes an entry of `Connection.extra`."""
    return {"label": label, "description": description, "schema": {**_TEXT, **schema}}


ALLOWED_HOSTS = field(
    "Allowed hosts",
    "Host names that Tieout may call with these credentials, separated by commas. Empty: the vendor's own hosts.",
)


#: For systems that sign their webhooks (docs/webhooks.md). Salesforce has none of this kind.
WEBHOOKS = {
    "webhook_key": field(
        "Webhook key", "What the vendor signs its webhooks with. Empty: none are taken.", format="password"
    ),
    "webhook_key_before": field(
        "Webhook key before", "While the key is exchanged: the old one is accepted too.", format="password"
    ),
    "webhook_url": field(
        "Webhook URL",
        "The receiver's address as it is entered at the vendor: HubSpot signs it. Empty: as the request names it.",
    ),
}


def form(label: str, host: str, example: str, login: str, password: str, fields: dict[str, Any]) -> dict[str, Any]:
    """A system's form.

    Args:
        label: the system's name as people know it.
        host, login, password: what these three are called for this system; `example` of a host.
        fields: name in `Connection.extra` -> `field(...)`.
    """
    return {
        "label": label,
        "ui-field-behaviour": {
            "hidden-fields": ["port", "schema"],
            "relabeling": {"host": host, "login": login, "password": password},
            "placeholders": {"host": example},
        },
        "conn-fields": {**fields, "allowed_hosts": ALLOWED_HOSTS},
    }
