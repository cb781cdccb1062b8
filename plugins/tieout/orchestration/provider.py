"""The connection types that Airflow shows, with their forms. Read by Airflow through the package's entry point.

Nothing is imported here: every Airflow process reads this at start.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": ["string", "null"]}


def _field(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {**_TEXT, **schema}}


_ALLOWED_HOSTS = _field(
    "Allowed hosts",
    "Host names that Tieout may call with these credentials, separated by commas. Empty: the vendor's own hosts.",
)

#: For vendors that sign their webhooks (docs/webhooks.md). Salesforce has none of this kind.
_WEBHOOKS = {
    "webhook_key": _field(
        "Webhook key", "What the vendor signs its webhooks with. Empty: none are taken.", format="password"
    ),
    "webhook_key_before": _field(
        "Webhook key before", "While the key is exchanged: the old one is accepted too.", format="password"
    ),
    "webhook_url": _field(
        "Webhook URL",
        "The receiver's address as it is entered at the vendor: HubSpot signs it. Empty: as the request names it.",
    ),
}

_SALESFORCE: dict[str, Any] = {
    "connection-type": "tieout_salesforce",
    "hook-class-name": "tieout.orchestration.hooks.SalesforceHook",
    "hook-name": "Salesforce (Tieout)",
    "ui-field-behaviour": {
        "hidden-fields": ["port", "schema"],
        "relabeling": {
            "host": "Login URL",
            "login": "Client id (consumer key)",
            "password": "Client secret, or private key (PEM)",
        },
        "placeholders": {"host": "https://mycompany.my.salesforce.com"},
    },
    "conn-fields": {
        "auth": _field(
            "Sign-in",
            "client_credentials: the connected app's own user. jwt: a certificate, and the user named below.",
            enum=["client_credentials", "jwt"],
            default="client_credentials",
        ),
        "username": _field("User name", "Only for jwt: the Salesforce user to act as."),
        "api_version": _field("API version", "Such as 62.0. Empty: the version that Tieout was tested with."),
        "allowed_hosts": _ALLOWED_HOSTS,
    },
}

_XERO: dict[str, Any] = {
    "connection-type": "tieout_xero",
    "hook-class-name": "tieout.orchestration.hooks.XeroHook",
    "hook-name": "Xero (Tieout)",
    "ui-field-behaviour": {
        "hidden-fields": ["port", "schema"],
        "relabeling": {"host": "API base URL", "login": "Client id", "password": "Client secret"},
        "placeholders": {"host": "https://api.xero.com"},
    },
    "conn-fields": {
        "token_url": _field("Token URL", "Empty: Xero's own, https://identity.xero.com/connect/token."),
        "tenant_id": _field("Tenant id", "The organisation. Empty is accepted when the app is joined to one only."),
        "allowed_hosts": _ALLOWED_HOSTS,
        **_WEBHOOKS,
    },
}


def get_provider_info() -> dict[str, Any]:
    """Airflow's description of this package: two connection types, whose `password` Airflow itself hides."""
    return {
        "package-name": "tieout",
        "name": "Tieout",
        "description": "Joins a CRM to a ledger and proves that the two agree.",
        "connection-types": [_SALESFORCE, _XERO],
    }
