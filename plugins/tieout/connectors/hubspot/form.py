"""The form of a HubSpot connection."""

from __future__ import annotations

from tieout.connectors.forms import WEBHOOKS, field, form

FORM = form(
    "HubSpot", "API base URL", "https://api.hubapi.com", "Client id (OAuth only)",
    "Private app's access token, or OAuth client secret",
    {
        "auth": field(
            "Sign-in",
            "private_app: the password is the app's access token. oauth: client id and secret, and a refresh token.",
            enum=["private_app", "oauth"],
            default="private_app",
        ),
        "refresh_token": field("Refresh token", "Only for oauth: what installing the app gave.", format="password"),
        "index_lag": field("Index lag", "Seconds that HubSpot's search may be behind; 60 when empty, at most 240."),
        "record_url": field(
            "Address of a record",
            "What invoices link to, without the record's id, such as"
            " https://app.hubspot.com/contacts/PORTAL/record/0-123. Empty: the API base URL.",
        ),
        **WEBHOOKS,
    },
)  # fmt: skip
