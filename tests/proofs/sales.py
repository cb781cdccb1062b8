"""Sales at work in a CRM, record by record and in no vendor's words: enters orders, changes and activates them.

What an old record holds, which the vendor's API refuses today, goes in by the sandbox's own door (`old`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

from tieout.model.connection import Connection
from tieout.model.errors import VendorFault
from tieout.scenarios.crm_loaders import open_crm

#: What may be said of a record; what a CRM does not have is not in its table below.
Words = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """`price` before discount, `discount` in percent, `tax` the CRM's tax code."""

    product: str
    quantity: Decimal
    price: Decimal
    discount: Decimal | None = None
    tax: str = "zero"


@dataclass(frozen=True, slots=True)
class Order:
    """An order that nobody has activated. `key` is its number where sales gives one, and what the customer calls it."""

    key: str
    account: str | None
    day: date
    lines: tuple[Line, ...]
    currency: str = "USD"
    rate: Decimal | None = None
    freight: Decimal | None = None


class Sales(Protocol):
    """The people of a CRM. A record is named by `account:KEY`, `order:KEY` or `order:KEY:LINE`, from 1.

    Attributes:
        ids: the record's name -> its id.
    """

    ids: dict[str, str]

    def sell(self, products: Mapping[str, str], currencies: Sequence[str]) -> None:
        """Products of (code -> name), with a price in each currency."""
        ...

    def account(self, key: str, **words: Any) -> None:
        """Named by its key, unless the words have another `name`."""
        ...

    def order(self, order: Order) -> str:
        """Empty, or why the CRM refuses it."""
        ...

    def activate(self, key: str) -> str:
        """Empty, or why the CRM refuses it."""
        ...

    def change(self, record: str, **words: Any) -> str:
        """Empty, or why the CRM refuses it. An activated order is activated again afterwards."""
        ...

    def old(self, record: str, **words: Any) -> None:
        """Past every rule of today."""
        ...

    def add_line(self, key: str, line: Line) -> None:
        """To an order that is not activated."""
        ...

    def deal(
        self,
        key: str,
        account: str | None,
        day: date,
        *,
        amount: Decimal | None = None,
        product: str | None = None,
        lines: Sequence[Line] = (),
        currency: str = "USD",
    ) -> None:
        """A deal, open; named `deal:KEY`, its lines `deal:KEY:1` and so on."""
        ...

    def win(self, key: str) -> str: ...

    def lose(self, key: str) -> str: ...

    def shown(self, record: str, *words: str) -> Words:
        """What the CRM shows of an order or a deal."""
        ...


@dataclass
class People:
    connection: Connection
    url: str
    ids: dict[str, str] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._open = ExitStack()
        self.crm = self._open.enter_context(open_crm(self.connection))

    def close(self) -> None:
        """Gives the sockets back."""
        self._open.close()

    def _update(self, name: str, fields: Mapping[str, Any]) -> str:
        """Empty, or why the CRM refuses it: the record, or what was sent as a whole."""
        try:
            (answer,) = self.crm.update(name, [fields])
        except VendorFault as fault:
            return str(fault)
        return "" if answer.id else answer.error or "refused without a word"

    def _insert(self, record: str, name: str, fields: Mapping[str, Any]) -> None:
        said = self._try(record, name, fields)
        assert not said, f"{record}: {said}"

    def _try(self, record: str, name: str, fields: Mapping[str, Any]) -> str:
        (made,) = self.crm.insert(name, [{key: value for key, value in fields.items() if value is not None}])
        if made.id:
            self.ids[record] = made.id
        return "" if made.id else made.error or "refused without a word"


def kind_of(record: str) -> str:
    """account, order or deal; line of either."""
    kind, _, rest = record.partition(":")
    return "line" if kind != "account" and ":" in rest else kind


def head_of(record: str) -> str:
    return ":".join(record.split(":")[:2])
