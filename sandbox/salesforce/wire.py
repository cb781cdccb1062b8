"""A call and its reply, apart from any server; JSON with exact numbers both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from sandbox.faults import Faults
from sandbox.salesforce.access import Access
from sandbox.salesforce.errors import ApiError, Refused
from sandbox.salesforce.org import Org

JSON = "application/json;charset=UTF-8"
CSV = "text/csv"
VERSIONS = tuple(f"v{number}.0" for number in range(59, 68))
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the data API. `path` is what follows the version, without slashes at its ends."""

    org: Org
    access: Access
    faults: Faults
    version: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # lower-case names
    body: bytes

    def json(self) -> Any:
        """The body. Raises ApiError 400 JSON_PARSER_ERROR."""
        return decode(self.body)

    def json_object(self) -> dict[str, Any]:
        """The body, which has to be an object."""
        value = decode(self.body)
        if not isinstance(value, dict):
            raise ApiError(400, "JSON_PARSER_ERROR", "The HTTP entity body is required to be a JSON object")
        return value

    def take(self, fault: str) -> Mapping[str, Any] | None:
        """The parameters of a fault that this call is to suffer, if any."""
        return self.faults.take(fault, self.method, f"/services/data/{self.version}/{self.path}")

    @property
    def root(self) -> str:
        return f"/services/data/{self.version}"


@dataclass(frozen=True, slots=True)
class Reply:
    """`value` goes out as JSON, unless `raw` holds the bytes; neither is an empty body."""

    status: int = 200
    value: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    content_type: str = JSON

    def body(self) -> bytes:
        if self.raw is not None:
            return self.raw
        return b"" if self.value is None else encode(self.value)


def encode(value: Any) -> bytes:
    """JSON; a Decimal is a number, digit by digit."""
    return _ENCODER.encode(value)


def decode(body: bytes) -> Any:
    """The value of a JSON text; a number with a point or an exponent is a Decimal. Raises ApiError 400."""
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError) as error:
        raise ApiError(400, "JSON_PARSER_ERROR", f"{error} at [line:1, column:1]") from None


def reply_to(error: ApiError | Refused) -> Reply:
    """The answer to a call that failed as a whole."""
    if isinstance(error, ApiError):
        return Reply(error.status, error.errors)
    return Reply(error.status, [problem.as_error() for problem in error.problems])
