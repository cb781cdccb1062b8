"""The allowance of calls in 24 hours. Counted in memory: a restart begins anew."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.org import Org

WINDOW = timedelta(hours=24)


def count(org: Org) -> None:
    """Counts a call. Raises ApiError 403 when the allowance is used up."""
    used = _usage(org)
    if used["calls"] >= org.setting("api_allowance"):
        raise ApiError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
    used["calls"] += 1


def header(org: Org) -> dict[str, str]:
    """The header of every answer."""
    return {"Sforce-Limit-Info": f"api-usage={_usage(org)['calls']}/{org.setting('api_allowance')}"}


def everything(org: Org) -> dict[str, dict[str, int]]:
    """GET /limits"""
    allowance = int(org.setting("api_allowance"))
    jobs = 10_000
    return {
        "DailyApiRequests": {"Max": allowance, "Remaining": max(0, allowance - _usage(org)["calls"])},
        "DailyBulkApiBatches": {"Max": 15_000, "Remaining": 15_000},
        "DailyBulkV2QueryJobs": {"Max": jobs, "Remaining": jobs - len(org.table("_job"))},
        "DailyBulkV2QueryFileStorageMB": {"Max": 976_562, "Remaining": 976_562},
        "DataStorageMB": {"Max": 1024, "Remaining": 1024},
    }


def _usage(org: Org) -> dict[str, Any]:
    now = org.now()
    used: dict[str, Any] = org.memory.setdefault("usage", {"since": now, "calls": 0})
    if now - used["since"] >= WINDOW:
        used.update(since=now, calls=0)
    return used
