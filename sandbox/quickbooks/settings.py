"""What can be set on the sandbox's companies, what it is at first, and which values are refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.state import State

US_REALM = "4620816365"
GB_REALM = "4620816366"
FIRST_REFRESH_TOKEN = "sandbox-refresh"  # noqa: S105 - of a sandbox

_COMPANY: Mapping[str, Any] = {
    "multicurrency": True,
    "book_close_date": None,
    "custom_txn_numbers": True,  # false: numbers are made when none is sent
    "warn_duplicate_numbers": True,  # false: a number may repeat
    "negative_inventory": True,  # false: an invoice is refused that takes more than there is
}
DEFAULTS: Mapping[str, Any] = {
    "companies": {
        US_REALM: {
            **_COMPANY,
            "name": "Sandbox Trading Inc",
            "country": "US",
            "home_currency": "USD",
            "timezone": "America/Los_Angeles",
            # Automated sales tax: percent by jurisdiction, for lines with TAX.
            "sales_tax": {"California": "6.25", "City": "1.00"},
            # Home units for one foreign unit, when a document brings none.
            "rates": {"EUR": "1.10", "GBP": "1.25", "CAD": "0.74", "JPY": "0.0068"},
        },
        GB_REALM: {
            **_COMPANY,
            "name": "Sandbox Trading Ltd",
            "country": "GB",
            "home_currency": "GBP",
            "timezone": "Europe/London",
            "sales_tax": {},
            "rates": {"EUR": "0.85", "USD": "0.79", "CAD": "0.58", "JPY": "0.0053"},
        },
    },
    # Calls for each company (minute), for company and app (second, batch_minute), at the same time (concurrent).
    "limits": {"minute": 500, "second": 10, "batch_minute": 40, "concurrent": 10},
    "requestid_seconds": 86_400,
    "token_seconds": 3600,
    "refresh_token_seconds": 8_726_400,
    "rotate_every_seconds": 0,
    "old_token_grace_seconds": 0,
    "cdc_days": 30,
    "cdc_objects": 1000,
    "latency_seconds": 0,
    "clock_offset_seconds": 0,
    "webhook_url": None,
    "webhook_verifier_token": "sandbox-verifier",
    "clients": {"sandbox-client": {"secret": "sandbox-secret"}},
}
_MERGED = ("companies", "limits", "clients")


def setting(state: State, name: str) -> Any:
    """The value that is set, else the default."""
    return state.settings[name] if name in state.settings else DEFAULTS[name]


def check_settings(state: State, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The changes with `companies` (and each one), `limits`, `clients` merged into what is set. Raises ValueError."""
    checked: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in DEFAULTS:
            raise ValueError(f"unknown setting {name!r} of quickbooks; known are {', '.join(sorted(DEFAULTS))}")
        if name in _MERGED:
            if not isinstance(value, dict):
                raise ValueError(f"quickbooks.{name} must be an object")
            value = _merged(name, setting(state, name), value)
        _CHECKS[name](name, value)
        checked[name] = value
    return checked


def _merged(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    if name != "companies":
        return {**old, **new}
    merged = dict(old)
    for realm, part in new.items():
        if realm not in old:
            raise ValueError(f"unknown company {realm!r}; known are {', '.join(old)}")
        if not isinstance(part, dict):
            raise ValueError(f"quickbooks.companies.{realm} must be an object")
        merged[realm] = {**old[realm], **part}
    return merged


def _text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"quickbooks.{name} must be a text")


def _url(name: str, value: Any) -> None:
    if value is not None and not (isinstance(value, str) and re.match(r"https?://", value)):
        raise ValueError(f"quickbooks.{name} must be a URL or null")


def _seconds(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"quickbooks.{name} must be a number of seconds")
    if value < 0 and name != "clock_offset_seconds":
        raise ValueError(f"quickbooks.{name} must not be negative")


def _whole(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"quickbooks.{name} must be a whole number above 0")


def _limits(name: str, value: Mapping[str, Any]) -> None:
    for which, limit in value.items():
        if which not in DEFAULTS["limits"]:
            raise ValueError(f"unknown limit {which!r}; known are {', '.join(DEFAULTS['limits'])}")
        if limit is not None:
            _whole(f"{name}.{which}", limit)


def _clients(name: str, value: Mapping[str, Any]) -> None:
    for client, entry in value.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("secret"), str):
            raise ValueError(f"quickbooks.clients.{client} must be {{secret}}")


def _companies(name: str, value: Mapping[str, Any]) -> None:
    for realm, company in value.items():
        where = f"quickbooks.companies.{realm}"
        unknown = set(company) - set(DEFAULTS["companies"][US_REALM])
        if unknown:
            raise ValueError(f"{where}: unknown setting {sorted(unknown)[0]!r}")
        for key in ("multicurrency", "custom_txn_numbers", "warn_duplicate_numbers", "negative_inventory"):
            if not isinstance(company[key], bool):
                raise ValueError(f"{where}.{key} must be true or false")
        for key in ("name", "country"):
            if not isinstance(company[key], str) or not company[key]:
                raise ValueError(f"{where}.{key} must be a text")
        if not isinstance(company["home_currency"], str) or not re.fullmatch("[A-Z]{3}", company["home_currency"]):
            raise ValueError(f"{where}.home_currency must be three capital letters")
        _closing(where, company["book_close_date"])
        _zone(where, company["timezone"])
        _numbers(f"{where}.sales_tax", company["sales_tax"], Decimal(0))
        _numbers(f"{where}.rates", company["rates"], Decimal("0.0000001"))


def _closing(where: str, value: Any) -> None:
    try:
        if value is not None:
            date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"{where}.book_close_date must be a date like 2026-03-31, or null") from None


def _zone(where: str, value: Any) -> None:
    try:
        ZoneInfo(value)
    except (TypeError, ValueError, OSError, KeyError):
        raise ValueError(f"{where}.timezone must be the name of a time zone") from None


def _numbers(where: str, value: Any, least: Decimal) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be an object")
    for key, number in value.items():
        try:
            if isinstance(number, bool) or not Decimal(number) >= least:
                raise ValueError
        except (InvalidOperation, TypeError, ValueError):
            raise ValueError(f"{where}.{key} must be a number of at least {least}") from None


_CHECKS: Mapping[str, Callable[[str, Any], None]] = {
    "companies": _companies,
    "limits": _limits,
    "clients": _clients,
    "webhook_url": _url,
    "webhook_verifier_token": _text,
    "cdc_days": _whole,
    "cdc_objects": _whole,
    **{name: _seconds for name in DEFAULTS if name.endswith("_seconds")},
}
