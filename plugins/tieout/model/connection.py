"""What a connector needs to reach a system. Filled from an Airflow connection; never written to a log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Connection:
    """Credentials and address of one system, as an Airflow connection holds them.

    Attributes:
        name: the connection id, such as `salesforce_demo`; staging and intents are keyed by it.
        system: `salesforce` or `xero`.
        host: base URL, `https://login.salesforce.com`; http is accepted for 127.0.0.1 alone.
        login: the OAuth client id.
        password: the OAuth client secret or the private key; kept out of repr.
        extra: the form's other fields (`allowed_hosts`, `tenant_id`, `token_url`, `auth`, `username` ...).
    """

    name: str
    system: str
    host: str
    login: str = field(repr=False)
    password: str = field(repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
