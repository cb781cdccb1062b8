"""The form of a QuickBooks Online connection."""

from __future__ import annotations

from tieout.connectors.forms import WEBHOOKS, field, form

FORM = form(
    "QuickBooks Online", "API base URL", "https://quickbooks.api.intuit.com", "Client id", "Client secret",
    {
        "realm_id": field("Company id", "The company's realm id: digits, named when the app was joined to it."),
        "refresh_token": field(
            "Refresh token",
            "The first one, from joining the app. Intuit replaces it: the ones after it are kept, sealed, in Tieout's"
            " store. Enter another only after joining the app again.",
            format="password",
        ),
        "token_url": field(
            "Token URL", "Empty: Intuit's own, https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer."
        ),
        **WEBHOOKS,
    },
)  # fmt: skip
