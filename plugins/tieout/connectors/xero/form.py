"""The form of a Xero connection."""

from __future__ import annotations

from tieout.connectors.forms import WEBHOOKS, field, form

FORM = form(
    "Xero", "API base URL", "https://api.xero.com", "Client id", "Client secret",
    {
        "token_url": field("Token URL", "Empty: Xero's own, https://identity.xero.com/connect/token."),
        "tenant_id": field("Tenant id", "The organisation. Empty is accepted when the app is joined to one only."),
        **WEBHOOKS,
    },
)  # fmt: skip
