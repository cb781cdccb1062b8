"""What can be set on the sandbox's organisation, what it is at first, and which values are refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.state import State
from sandbox.xero.wire import read_guid

TENANT_ID = "5d1f9e0c-7a54-4f6e-9a51-0c0ffee00001"
SCOPES = "accounting.transactions accounting.contacts accounting.settings accounting.reports.read"
READ_SCOPES = "accounting.transactions.read accounting.contacts.read accounting.settings.read accounting.reports.read"

DEFAULTS: Mapping[str, Any] = {
    "tenant_id": TENANT_ID,
    "organisation_name": "Sandbox Trading Ltd",
    "base_currency": "GBP",
    "country_code": "GB",
    "timezone": "GMTSTANDARDTIME",
    "period_lock_date": None,
    "end_of_year_lock_date": None,
    "currencies": ["GBP", "EUR", "USD"],
    # The day's rate when a document brings none: foreign units for one unit of the base currency.
    "rates": {"EUR": "1.17", "USD": "1.27"},
    # Calls for each organisation and client; null is no limit.
    "limits": {"minute": 60, "day": 5000, "concurrent": 5, "app_minute": 10000},
    "minute_seconds": 60,  # of the minute's limit
    "idempotency_seconds": 360,
    "token_seconds": 1800,
    "refresh_grace_seconds": 1800,
    "latency_seconds": 0,
    "clock_offset_seconds": 0,
    # Where changes are told, and what signs them; null: nowhere.
    "webhook_url": None,
    "webhook_key": "sandbox-webhook-key",
    "webhook_categories": ["CONTACT", "INVOICE"],
    "webhook_retry_seconds": 1,  # until the second attempt, doubled with each
    "clients": {
        "sandbox-client": {"secret": "sandbox-secret", "scopes": SCOPES},
        "sandbox-finance": {"secret": "sandbox-secret", "scopes": SCOPES, "user": "Fiona Finance"},
        "sandbox-reader": {"secret": "sandbox-secret", "scopes": READ_SCOPES},
    },
}


def setting(state: State, name: str) -> Any:
    """The value that is set, else the default."""
    return state.settings[name] if name in state.settings else DEFAULTS[name]


def check_settings(state: State, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The changes with `limits`, `rates` and `clients` merged into what is set. Raises ValueError."""
    checked = {}
    for name, value in changes.items():
        if name not in DEFAULTS:
            raise ValueError(f"unknown setting {name!r} of xero; known are {', '.join(sorted(DEFAULTS))}")
        if name in ("limits", "rates", "clients"):
            if not isinstance(value, dict):
                raise ValueError(f"xero.{name} must be an object")
            value = {**setting(state, name), **value}
        _CHECKS.get(name, _text)(name, value)
        checked[name] = value
    base = checked.get("base_currency")
    if base is not None and base not in checked.get("currencies", setting(state, "currencies")):
        checked["currencies"] = [*checked.get("currencies", setting(state, "currencies")), base]
    return checked


def _text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"xero.{name} must be a text")


def _seconds(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"xero.{name} must be a number of seconds")
    if value < 0 and name != "clock_offset_seconds":
        raise ValueError(f"xero.{name} must not be negative")


def _lock_date(name: str, value: Any) -> None:
    try:
        if value is not None:
            date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"xero.{name} must be a date like 2026-03-31, or null") from error


def _currency(name: str, value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch("[A-Z]{3}", value):
        raise ValueError(f"xero.{name} must hold codes of three capital letters")


def _currencies(name: str, value: Any) -> None:
    if not isinstance(value, list):
        raise ValueError(f"xero.{name} must be a list")
    for code in value:
        _currency(name, code)


def _rates(name: str, value: Mapping[str, Any]) -> None:
    for code, rate in value.items():
        _currency(name, code)
        try:
            if isinstance(rate, bool) or Decimal(rate) <= 0:
                raise ValueError
        except (InvalidOperation, TypeError, ValueError) as error:
            raise ValueError(f"xero.rates.{code} must be a number above 0") from error


def _limits(name: str, value: Mapping[str, Any]) -> None:
    for which, limit in value.items():
        if which not in ("minute", "day", "concurrent", "app_minute"):
            raise ValueError(f"unknown limit {which!r}; known are minute, day, concurrent, app_minute")
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise ValueError(f"xero.limits.{which} must be a whole number above 0, or null")


def _clients(name: str, value: Mapping[str, Any]) -> None:
    for client, entry in value.items():
        if not isinstance(entry, dict) or not {"secret", "scopes"} <= set(entry):
            raise ValueError(f"xero.clients.{client} must be {{secret, scopes}}")


def _url(name: str, value: Any) -> None:
    if value is not None and not (isinstance(value, str) and value.startswith(("http://", "https://"))):
        raise ValueError(f"xero.{name} must be an http(s) URL, or null")


def _categories(name: str, value: Any) -> None:
    if not isinstance(value, list) or not set(value) <= {"CONTACT", "INVOICE", "CREDITNOTE"}:
        raise ValueError(f"xero.{name} must be a list of CONTACT, INVOICE, CREDITNOTE")


def _guid(name: str, value: Any) -> None:
    if read_guid(value) != value:
        raise ValueError(f"xero.{name} must be a GUID in lower case")


_CHECKS: Mapping[str, Callable[[str, Any], None]] = {
    "tenant_id": _guid,
    "base_currency": _currency,
    "currencies": _currencies,
    "rates": _rates,
    "limits": _limits,
    "clients": _clients,
    "period_lock_date": _lock_date,
    "end_of_year_lock_date": _lock_date,
    "minute_seconds": _seconds,
    "idempotency_seconds": _seconds,
    "token_seconds": _seconds,
    "refresh_grace_seconds": _seconds,
    "latency_seconds": _seconds,
    "clock_offset_seconds": _seconds,
    "webhook_url": _url,
    "webhook_categories": _categories,
    "webhook_retry_seconds": _seconds,
}
