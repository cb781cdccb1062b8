"""The form of a Salesforce connection."""

from __future__ import annotations

from tieout.connectors.forms import field, form

FORM = form(
    "Salesforce", "Login URL", "https://mycompany.my.salesforce.com", "Client id (consumer key)",
    "Client secret, or private key (PEM)",
    {
        "auth": field(
            "Sign-in",
            "client_credentials: the connected app's own user. jwt: a certificate, and the user named below.",
            enum=["client_credentials", "jwt"],
            default="client_credentials",
        ),
        "username": field("User name", "Only for jwt: the Salesforce user to act as."),
        "api_version": field("API version", "Such as 62.0. Empty: the version that Tieout was tested with."),
    },
)  # fmt: skip
