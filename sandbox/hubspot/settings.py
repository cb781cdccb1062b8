"""What can be set on the sandbox's portal, what it is at first, and which values are refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from sandbox.state import State

DEFAULTS: Mapping[str, Any] = {
    "portal_id": 62515,
    "portal_name": "Sandbox Portal",
    "company_currency": "USD",
    "additional_currencies": ["GBP", "EUR"],
    "time_zone": "US/Eastern",
    "private_app_token": "pat-sandbox",
    "client_id": "sandbox-client",
    "client_secret": "sandbox-secret",
    "refresh_token": "sandbox-refresh",
    "token_seconds": 1800,
    # Scopes of the private app and of OAuth tokens; null is all of them.
    "scopes": None,
    # Calls; null is no limit. The search has a limit of its own and is not counted in the ten seconds.
    "limits": {"ten_seconds": 190, "daily": 650_000, "search_per_second": 5},
    "search_lag_seconds": 0,
    # Of what it finds, a search shows the values that its index has, or the record as it is now.
    "search_shows": "index",
    # Results of batches come in another order than the inputs: correlate by objectWriteTraceId.
    "reverse_results": True,
    "latency_seconds": 0,
    "clock_offset_seconds": 0,
    # Webhooks: events are posted there, signed with client_secret; null is none.
    "webhook_url": None,
    "webhook_attempts": 3,
    "webhook_retry_seconds": 1,
}


def setting(state: State, name: str) -> Any:
    """The value that is set, else the default."""
    return state.settings[name] if name in state.settings else DEFAULTS[name]


def check_settings(state: State, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The changes with `limits` merged into what is set. Raises ValueError."""
    checked = {}
    for name, value in changes.items():
        if name not in DEFAULTS:
            raise ValueError(f"unknown setting {name!r} of hubspot; known are {', '.join(sorted(DEFAULTS))}")
        if name == "limits":
            if not isinstance(value, dict):
                raise ValueError("hubspot.limits must be an object")
            value = {**setting(state, name), **value}
        _CHECKS.get(name, _text)(name, value)
        checked[name] = value
    return checked


def _text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"hubspot.{name} must be a text")


def _url(name: str, value: Any) -> None:
    if value is not None and not (isinstance(value, str) and re.match("https?://", value)):
        raise ValueError(f"hubspot.{name} must be a URL, or null")


def _seconds(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"hubspot.{name} must be a number of seconds")
    if value < 0 and name != "clock_offset_seconds":
        raise ValueError(f"hubspot.{name} must not be negative")


def _whole(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"hubspot.{name} must be a whole number above 0")


def _truth(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"hubspot.{name} must be true or false")


def _shows(name: str, value: Any) -> None:
    if value not in ("index", "record"):
        raise ValueError(f"hubspot.{name} must be index or record")


def _currency(name: str, value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch("[A-Z]{3}", value):
        raise ValueError(f"hubspot.{name} must hold codes of three capital letters")


def _currencies(name: str, value: Any) -> None:
    if not isinstance(value, list):
        raise ValueError(f"hubspot.{name} must be a list")
    for code in value:
        _currency(name, code)


def _scopes(name: str, value: Any) -> None:
    if value is not None and not (isinstance(value, list) and all(isinstance(scope, str) for scope in value)):
        raise ValueError(f"hubspot.{name} must be a list of scopes, or null for all")


def _limits(name: str, value: Mapping[str, Any]) -> None:
    for which, limit in value.items():
        if which not in DEFAULTS["limits"]:
            raise ValueError(f"unknown limit {which!r}; known are {', '.join(DEFAULTS['limits'])}")
        if limit is not None:
            _whole(f"limits.{which}", limit)


_CHECKS: Mapping[str, Callable[[str, Any], None]] = {
    "portal_id": _whole,
    "company_currency": _currency,
    "additional_currencies": _currencies,
    "token_seconds": _seconds,
    "scopes": _scopes,
    "limits": _limits,
    "search_lag_seconds": _seconds,
    "search_shows": _shows,
    "reverse_results": _truth,
    "latency_seconds": _seconds,
    "clock_offset_seconds": _seconds,
    "webhook_url": _url,
    "webhook_attempts": _whole,
    "webhook_retry_seconds": _seconds,
}
