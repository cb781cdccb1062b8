"""The form of a New System connection."""

from __future__ import annotations

from tieout.connectors.forms import field, form

FORM = form(
    "New System",
    "API base URL",
    "https://api.newsystem.example",
    "Client id",
    "Client secret",
    {"token_url": field("Token URL", "Empty: /oauth/token below the API base URL.")},
)
