"""What the standard suite asks of a system's own records, and which systems there are.

A system is `tests/connectors/vendor_<system>.py` with VENDOR, a class made as `VENDOR(sandbox, time)`; the suite
(test_conformance_*.py) finds it there and runs unchanged. What a system cannot do stands in `lacks` with the reason,
and the suite then looks that it is refused or said, instead of leaving it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx

from tests.connectors.wires import Time
from tests.support.sandbox import ROOT, SandboxProcess
from tieout.connectors import exact_json
from tieout.connectors.base import Connector, Request
from tieout.connectors.outside import Outside
from tieout.connectors.registry import connect
from tieout.model.connection import Connection
from tieout.model.staged import StagedEntity

LONG_AGO = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
DRY = "sandbox-secret"
#: An amount of 18 digits, the most of a currency field: no double holds it.
EIGHTEEN = Decimal("1234567890123456.78")
#: What a system may lack: nothing else is left to it.
POINTS = {
    "upsert": "no upsert by a key of ours",
    "create": "no operation makes a record that is not there yet",
    "deletions": "nobody tells which records are gone: a status does, in the record itself",
    "decimals_18": "amounts of 18 digits are refused",
    "retry_after": "an answer that asks to wait does not say how long",
    "dated": "no entity can be chosen by a date",
}


class Vendor:
    """One system's sandbox, as the suite uses it; each method speaks to the sandbox's own doors or the vendor's API.

    Attributes:
        lacks: a word of POINTS -> why.
        login: the client id that the sandbox knows; `fields`: of the connection's form, beside what all have.
        step: the finest that modification times are told apart by.
        exact: an amount that no double holds, of 18 digits where the system takes them.
        page: records of one page.
        entity: what is read; `operation`: a write of several items, `bad_reasons`: of which one is refused.
        read_path, write_path: globs of the calls that read `entity` and that write, below the mount.
        upsert_operation, create_operation: None where `lacks` has the word.
        dated_entity, dated_field: what is chosen by a date.
        documents_in_a_call: of one call that writes, as the vendor documents it (bench/ledger_calls.py): of a ledger.
    """

    name: str
    lacks: Mapping[str, str] = {}
    login = "sandbox-client"
    fields: Mapping[str, Any] = {}
    step = timedelta(milliseconds=250)
    exact = EIGHTEEN
    page: int
    entity: StagedEntity
    operation: str
    bad_reasons: tuple[str, ...] = ("text_too_long",)
    read_path: str
    write_path: str
    upsert_operation: str | None = None
    create_operation: str | None = None
    dated_entity: StagedEntity | None = None
    dated_field = ""
    documents_in_a_call: int

    def __init__(self, sandbox: SandboxProcess, time: Time) -> None:
        self.root = f"{sandbox.url}/{self.name}"
        self.sandbox, self.time = sandbox, time
        self.prepare()

    def prepare(self) -> None:
        """What the sandbox needs before anything else: limits off, custom fields."""

    def connection(self, login: str | None = None, password: str = DRY, **extra: Any) -> Connection:
        fields = {"allowed_hosts": "127.0.0.1", "time_out": "4", **self.fields, **extra}
        return Connection(f"{self.name}_test", self.name, self.root, login or self.login, password, fields)

    def connector(self, login: str | None = None, password: str = DRY, **extra: Any) -> Connector:
        return connect(self.connection(login, password, **extra), Outside(clock=self.time.clock))

    def spread(self, count: int, start: datetime = LONG_AGO) -> list[datetime]:
        """Times a step apart."""
        return [start + self.step * n for n in range(count)]

    def put(self, stamps: Sequence[datetime], amount: Decimal, text: str) -> list[str]:
        """Records of `entity` as they are, one for each modification time; their ids. No rule is asked."""
        raise NotImplementedError

    def touch(self, id_: str, stamp: datetime) -> None:
        """Somebody changes the record at that time."""
        raise NotImplementedError

    def delete(self, id_: str) -> None:
        """Somebody deletes the record, or voids it where nothing is ever deleted."""
        raise NotImplementedError

    def is_gone(self, record: Mapping[str, Any]) -> bool:
        """Where `lacks` has `deletions`: what is read of a deleted record says so."""
        raise NotImplementedError

    def missing(self, id_: str) -> str:
        """An id of the same form that nothing has."""
        raise NotImplementedError

    def read_back(self, record: Mapping[str, Any]) -> tuple[Decimal, str]:
        """(amount, text) of a record that was read."""
        raise NotImplementedError

    def put_dated(self, days: Sequence[date]) -> list[str]:
        """Records of `dated_entity`, one for each day."""
        raise NotImplementedError

    def requests(self, count: int, bad: Sequence[int] = ()) -> list[Request]:
        """Writes of `operation` that are good, but for the numbers in `bad`; the same ones each time."""
        raise NotImplementedError

    def applied(self) -> int:
        """How many of the writes of `requests` are in the system."""
        raise NotImplementedError

    def with_amount(self, amount: Decimal) -> Request:
        """A write of any operation that carries the amount."""
        raise NotImplementedError

    def upserts(self, count: int, text: str) -> list[Request]:
        """Of `upsert_operation`: `count` records by keys of ours, which hold `text`."""
        raise NotImplementedError

    def upserted(self) -> list[str]:
        """The texts of all records that `upserts` made."""
        raise NotImplementedError

    def creates(self, count: int) -> list[Request]:
        """Of `create_operation`; the same ones each time."""
        raise NotImplementedError

    def created(self) -> int:
        """How many records of `creates` are in the system."""
        raise NotImplementedError


def systems() -> list[str]:
    """The systems that have a vendor file, in alphabetical order."""
    return sorted(file.stem.removeprefix("vendor_") for file in Path(__file__).parent.glob("vendor_*.py"))


def vendor_of(system: str) -> type[Vendor]:
    """The VENDOR of a system."""
    found: type[Vendor] = import_module(f"tests.connectors.vendor_{system}").VENDOR
    return found


def post(url: str, body: Any) -> Any:
    """The answer to a JSON body with exact numbers."""
    reply = httpx.post(url, content=exact_json.dumps(body), timeout=120)
    assert reply.status_code == 200, reply.text
    return reply.json()


def spell(stamp: datetime) -> str:
    """2024-01-02T03:04:05.678 in UTC, without a zone."""
    return stamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}"


def project() -> Path:
    """The checkout."""
    return ROOT
