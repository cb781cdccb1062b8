"""The errors of the whole product, grouped by what the caller does with them.

TieoutError
├── Retriable               a later try may work: network, 5xx on a read, database restarting
│   └── RateLimited         the vendor asked to wait; carries retry_after in seconds
└── Fatal                   a retry cannot mend it; a person has to act
    ├── ConfigurationFault  a link, mapping, suite or setting is wrong; carries file:line where there is one
    │   └── OutOfCalendar   a day for which a calendar has no period (model/calendar.py)
    ├── AuthenticationFailed  the credentials are refused
    ├── PermissionDenied    the credentials are good but may not do this
    ├── VendorFault         the vendor answered something its documentation does not allow
    ├── SuiteStopped        an expectation that stops the run did not hold
    └── BooksDoNotClose     a count or an amount that must close does not

A bad record is no exception: it is a `Rejection`, kept as a dead letter and counted.
"""

from __future__ import annotations

from dataclasses import dataclass


class TieoutError(Exception):
    """Base of all errors that Tieout raises on purpose."""


class Retriable(TieoutError):
    """A later try of the same work may succeed."""


class RateLimited(Retriable):
    """The vendor refuses more calls for now.

    Args:
        message: which limit of which system.
        retry_after: seconds until the next call may be made.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Fatal(TieoutError):
    """A person has to act before the same work can succeed."""


class ConfigurationFault(Fatal):
    """A file or setting of ours is wrong. The message starts with `file:line: ` where there is one."""


class AuthenticationFailed(Fatal):
    """The system refuses the credentials."""


class PermissionDenied(Fatal):
    """The system knows us and does not allow this."""


class VendorFault(Fatal):
    """The vendor's answer is not what its documentation promises."""


class SuiteStopped(Fatal):
    """An expectation of severity `stop` failed for a staged batch."""


class BooksDoNotClose(Fatal):
    """A count or an amount that has to close does not; nothing may be reported as done."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one record cannot go on: kept as a dead letter, shown to a person, replayed after the fix.

    Attributes:
        system: `salesforce`, `xero`.
        entity: the vendor's or the common model's entity, such as `order`.
        source_id: the record's id in its system.
        reason: a stable code in snake case, such as `unknown_currency`; errors are grouped by it.
        message: one sentence for a person, without secrets.
        expected: what would have been accepted.
        found: what was there, cut to 500 characters.
        remedy: what to do next.
    """

    system: str
    entity: str
    source_id: str
    reason: str
    message: str
    expected: str
    found: str
    remedy: str
