"""How Salesforce says no: for a whole request, or for one record among several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with one record."""

    code: str
    message: str
    fields: tuple[str, ...] = ()

    def as_item(self) -> dict[str, Any]:
        """As in a SaveResult."""
        return {"statusCode": self.code, "message": self.message, "fields": list(self.fields)}

    def as_error(self) -> dict[str, Any]:
        """As in the body of a refused request."""
        return {"message": self.message, "errorCode": self.code, "fields": list(self.fields)}


class ApiError(Exception):
    """The request is answered with `status` and a list of errors."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.errors: list[dict[str, Any]] = [{"message": message, "errorCode": code}]


class Refused(Exception):
    """One record cannot be saved. The caller puts it into the item's result, or answers `status` when it was alone."""

    def __init__(self, problems: Sequence[Problem], status: int = 400) -> None:
        super().__init__(problems[0].message)
        self.problems = tuple(problems)
        self.status = status


def refused(code: str, message: str, *fields: str, status: int = 400) -> Refused:
    """A refusal for one reason."""
    return Refused((Problem(code, message, fields),), status)


def not_found(message: str = "The requested resource does not exist") -> ApiError:
    """404, for paths, objects and ids that are not there."""
    return ApiError(404, "NOT_FOUND", message)
