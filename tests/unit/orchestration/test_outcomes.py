"""What Airflow does with each kind of error, and what a person is told of it."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from tieout.model import errors
from tieout.orchestration.outcomes import LONGEST_WAIT, Reaction, StepsFailed, judge, public_message, remedy

FATAL = [
    errors.ConfigurationFault("orders.yaml:3: unknown field"),
    errors.AuthenticationFailed("refused"),
    errors.PermissionDenied("no right"),
    errors.VendorFault("odd answer"),
    errors.SuiteStopped("stop"),
    errors.BooksDoNotClose("1 short"),
    StepsFailed("deliver is failed"),
    ValueError("a defect of ours"),
    KeyError("x"),
]
OUTAGES = [
    errors.Retriable("the network went away"),
    httpx.ConnectTimeout("no answer"),
    ConnectionResetError(),
    OperationalError("select", {}, Exception("server closed the connection")),
]


@pytest.mark.parametrize("error", FATAL, ids=lambda error: type(error).__name__)
def test_what_a_retry_cannot_mend_is_not_retried(error: Exception) -> None:
    assert judge(error).reaction is Reaction.FAIL


@pytest.mark.parametrize("error", OUTAGES, ids=lambda error: type(error).__name__)
def test_outages_are_retried(error: Exception) -> None:
    assert judge(error).reaction is Reaction.RETRY


def test_a_vendors_limit_is_waited_for_as_long_as_the_vendor_says_within_bounds() -> None:
    assert judge(errors.RateLimited("daily", retry_after=90)).after == 90
    assert judge(errors.RateLimited("daily", retry_after=10**6)).after == LONGEST_WAIT
    assert judge(errors.RateLimited("daily", retry_after=0)).after > 0
    assert judge(errors.RateLimited("daily", retry_after=90)).reaction is Reaction.WAIT


def test_messages_of_others_errors_do_not_leave_the_log() -> None:
    assert "password=hunter2" not in public_message(RuntimeError("dsn password=hunter2"))
    assert "RuntimeError" in public_message(RuntimeError("dsn password=hunter2"))
    assert public_message(errors.PermissionDenied("xero: no right")) == "PermissionDenied: xero: no right"


def test_the_cause_counts_not_airflows_wrapper() -> None:
    wrapper = RuntimeError("wrapped")
    wrapper.__cause__ = errors.AuthenticationFailed("refused")
    assert public_message(wrapper) == "AuthenticationFailed: refused"
    assert "press Test" in remedy(wrapper)


@pytest.mark.parametrize("error", [*FATAL, *OUTAGES, None, "killed"], ids=lambda error: type(error).__name__)
def test_every_error_has_a_remedy(error: Exception | None) -> None:
    assert remedy(error).strip().endswith(".")
