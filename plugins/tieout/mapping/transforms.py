"""The named transforms of mapping files: texts, codes and look-ups. Numbers and times are in transforms_exact.py.

Imports pandas: load it through functions only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from tieout.mapping.registry import TRANSFORMS, Result, Settings, Unacceptable, each, transform
from tieout.mapping.text import cut, length, mark, unprintable
from tieout.model.link import Link

__all__ = ["TRANSFORMS"]

Columns = Sequence["pd.Series[Any]"]


class Nothing(Settings):
    """No settings."""


@transform("trim")
def trim(columns: Columns, settings: Nothing, link: Link | None) -> Result:
    """Without blanks at both ends; what is left empty becomes null."""
    return each(columns[0], lambda value: str(value).strip() or None)


@transform("collapse_spaces")
def collapse_spaces(columns: Columns, settings: Nothing, link: Link | None) -> Result:
    """Trimmed, each run of blanks and line breaks as one blank, in Unicode's composed form (NFC)."""
    return each(columns[0], lambda value: " ".join(unicodedata.normalize("NFC", str(value)).split()) or None)


class Boundary(Settings):
    """`with` a text between the parts."""

    separator: str = ", "


@transform("join_lines", inputs=(1, 8), settings=Boundary)
def join_lines(columns: Columns, settings: Boundary, link: Link | None) -> Result:
    """Lines of an address, and several columns, as one line; empty ones are left out."""
    rows = zip(*(column.astype(object).where(column.notna(), None) for column in columns), strict=True)
    joined = []
    for row in rows:
        lines = [line.strip() for value in row if value is not None for line in str(value).splitlines()]
        joined.append(settings.separator.join(line for line in lines if line) or None)
    return Result(pd.Series(joined, index=columns[0].index, dtype="string"))


class Which(Settings):
    """`with` the number of a line, from 1; `rest` adds all lines after it."""

    number: int
    rest: bool = False


@transform("line", settings=Which)
def line(columns: Columns, settings: Which, link: Link | None) -> Result:
    """One line of a text of several lines (a street)."""

    def pick(value: Any) -> str | None:
        lines = [part.strip() for part in str(value).splitlines() if part.strip()]
        chosen = lines[settings.number - 1 :] if settings.rest else lines[settings.number - 1 : settings.number]
        return ", ".join(chosen) or None

    return each(columns[0], pick)


class Without(Settings):
    """`with` characters that the vendor refuses: a blank stands in for each."""

    without: str = ""


@transform("join_name", inputs=4, settings=Without)
def join_name(columns: Columns, settings: Without, link: Link | None) -> Result:
    """From [name, is_person, first_name, last_name]: first and last name joined for a person, else the name."""
    name, is_person, first, last = columns
    joined = join_lines([first, last], Boundary(separator=" "), link).values
    person = is_person.astype("boolean").fillna(False) & joined.notna()
    joined = joined.where(person, name.astype("string"))
    for character in settings.without:
        joined = joined.str.replace(character, " ", regex=False)
    return collapse_spaces([joined], Nothing(), link)


class Kept(Settings):
    """`with` the number of UTF-16 units that may stay; `unique` takes a second column, which marks what was cut."""

    length: int
    unique: bool = False


@transform("truncate", inputs=(1, 2), settings=Kept)
def truncate(columns: Columns, settings: Kept, link: Link | None) -> Result:
    """Cut to a length, and noted; with `unique` the second column keeps cut texts apart."""
    values = columns[0].astype("string")
    longer = values.map(length, na_action="ignore").astype("Int64").fillna(0) > settings.length
    if not longer.any():
        return Result(values)
    marks = columns[1].astype("string") if settings.unique else pd.Series("", index=values.index, dtype="string")
    made = values.tolist()
    notes: list[str | None] = [None] * len(made)
    for at in longer.to_numpy().nonzero()[0]:
        tail = f" ~{mark(marks.iloc[at])}" if settings.unique else ""
        before = length(made[at])
        made[at] = cut(made[at], settings.length - length(tail)) + tail
        notes[at] = f"cut from {before} to {length(made[at])} characters"
    return Result(
        pd.Series(made, index=values.index, dtype="string"), notes=pd.Series(notes, index=values.index, dtype="string")
    )


class Unwanted(Settings):
    """`with` the characters that are taken out; none named means control characters."""

    characters: str = ""


@transform("strip_characters", settings=Unwanted)
def strip_characters(columns: Columns, settings: Unwanted, link: Link | None) -> Result:
    """Without characters that the vendor refuses; what was taken out is noted."""
    unwanted = settings.characters

    def clean(value: str) -> str:
        return "".join(char for char in value if not (char in unwanted if unwanted else unprintable(char)))

    values = columns[0].astype("string")
    made = each(values, clean).values
    changed = (made != values).fillna(False)
    notes = pd.Series(pd.NA, index=values.index, dtype="string").mask(changed, "characters were taken out")
    return Result(made, notes=notes if changed.any() else None)


@lru_cache(maxsize=4096)
def _country(text: str) -> str:
    import pycountry

    code = text.strip().upper()
    found = pycountry.countries.get(alpha_2=code) or pycountry.countries.get(alpha_3=code)
    if not found:
        try:
            found = pycountry.countries.lookup({"UK": "GB", "USA": "US"}.get(code, text.strip()))
        except LookupError:
            raise Unacceptable("expected a country's ISO 3166 code or English name") from None
    return str(found.alpha_2)


class Unknown(Settings):
    """`with` what a value that is not known does: `keep` leaves it as it is, trimmed."""

    otherwise: Literal["reject", "keep"] = "reject"


@transform(
    "country_iso2", settings=Unknown, reason="unknown_country", expected="a country's ISO 3166 code or English name",
    remedy="correct the country at its source",
)  # fmt: skip
def country_iso2(columns: Columns, settings: Unknown, link: Link | None) -> Result:
    """Country codes of two letters from codes of two or three letters or English names."""

    def code(value: Any) -> str | None:
        try:
            return _country(str(value))
        except Unacceptable:
            if settings.otherwise == "reject":
                raise
            return str(value).strip() or None

    return each(columns[0], code)


@transform("country_name")
def country_name(columns: Columns, settings: Nothing, link: Link | None) -> Result:
    """English names from country codes of two letters; other texts stay as they are."""
    import pycountry

    def name(value: Any) -> str:
        found = pycountry.countries.get(alpha_2=str(value))
        return str(getattr(found, "common_name", found.name)) if found else str(value)

    return each(columns[0], name)


@transform("currency_code", reason="unknown_currency", expected="an ISO 4217 code of a currency in use")
def currency_code(columns: Columns, settings: Nothing, link: Link | None) -> Result:
    """ISO 4217 codes in capitals."""
    from tieout.model.money import exponent

    def code(value: str) -> str:
        try:
            exponent(str(value).strip().upper())
        except ValueError as error:
            raise Unacceptable("expected an ISO 4217 code of a currency in use") from error
        return str(value).strip().upper()

    return each(columns[0], code)


# Prefixes of tax ids that are not the country's ISO code, and the one that is written for it.
_TAX_COUNTRY = {"EL": "GR", "UK": "GB"}
_TAX_PREFIX = {"GR": "EL"}


def _tax_id(text: str, country: str | None) -> str:
    """The compact form with its country's prefix, so that two spellings of one id meet."""
    from stdnum import get_cc_module
    from stdnum.exceptions import ValidationError

    compact = "".join(char for char in text.upper() if char.isalnum())
    # The number's own prefix says more than the address, which may be in another country.
    places = [_TAX_COUNTRY.get(compact[:2], compact[:2]), country] if compact[:2].isalpha() else [country]
    fault = "expected a tax id of 4 to 20 letters and digits"
    known = False
    for place in places:
        module = get_cc_module(place.lower(), "vat") if place else None
        if place is None or module is None:
            continue
        known = True
        try:
            valid = str(module.validate(compact))
        except ValidationError as error:
            fault = f"expected a valid tax id of {place} ({type(error).__name__})"
            continue
        prefix = _TAX_PREFIX.get(place, place)
        return valid if valid.startswith(prefix) else prefix + valid
    if known or not 4 <= len(compact) <= 20:
        raise Unacceptable(fault)
    return compact


@transform(
    "tax_id", inputs=(1, 2), settings=Unknown, reason="invalid_tax_id",
    expected="a tax id with its country's check digits",
)  # fmt: skip
def tax_id(columns: Columns, settings: Unknown, link: Link | None) -> Result:
    """Tax ids in their compact form, checked by the rules of their country; a second column names the country."""
    countries = columns[1] if len(columns) > 1 else pd.Series(pd.NA, index=columns[0].index, dtype="string")
    pairs = [
        None if pd.isna(text) or not str(text).strip() else (str(text), None if pd.isna(place) else str(place))
        for text, place in zip(columns[0], countries, strict=True)
    ]

    def check(pair: tuple[str, str | None]) -> str:
        try:
            country = _country(pair[1]) if pair[1] else None
        except Unacceptable:
            country = None
        try:
            return _tax_id(pair[0], country)
        except Unacceptable:
            if settings.otherwise == "reject":
                raise
            return pair[0].strip()

    return each(pd.Series(pairs, index=columns[0].index, dtype=object), check)


@transform("email", reason="invalid_email", expected="an e-mail address")
def email(columns: Columns, settings: Nothing, link: Link | None) -> Result:
    """E-mail addresses, trimmed; the shape is checked, not the mailbox."""

    def check(value: str) -> str | None:
        text = str(value).strip()
        name, at, host = text.rpartition("@")
        if text and (not at or not name or "." not in host.strip(".") or any(char.isspace() for char in text)):
            raise Unacceptable("expected an e-mail address")
        return text or None

    return each(columns[0], check)


class LookUp(Settings):
    """`with` a table.

    Attributes:
        values: the table itself, or
        table: the name of a table of the link.
        otherwise: what a value that is not in the table does.
        default: for `otherwise: default`; a null gives it as well.
        fold: compare without regard to case.
    """

    values: dict[str, str | int | bool] = Field(default_factory=dict)
    table: Literal["tax_codes", "product_accounts", "owners"] | None = None
    otherwise: Literal["reject", "null", "keep", "default"] = "reject"
    default: str | int | bool | None = None
    fold: bool = False


@transform(
    "lookup", settings=LookUp, reason="not_in_table", expected="a value of the mapping's table",
    remedy="add the value to the table in the mapping or the link, or correct the record",
)  # fmt: skip
def lookup(columns: Columns, settings: LookUp, link: Link | None) -> Result:
    """Values by a table of the mapping, or of the link (`tax_codes`, `product_accounts`)."""
    if settings.table is not None and link is None:
        raise ValueError(f"the table {settings.table} is the link's, and there is no link")
    table: dict[str, Any] = dict(getattr(link, settings.table)) if settings.table else dict(settings.values)
    known = {key.casefold(): value for key, value in table.items()} if settings.fold else table

    def find(value: Any) -> Any:
        text = str(value).casefold() if settings.fold else str(value)
        if text in known:
            return known[text]
        if settings.otherwise == "reject":
            raise Unacceptable(f"expected one of {', '.join(sorted(table))}"[:300])
        return {"null": None, "keep": value, "default": settings.default}[settings.otherwise]

    found = each(columns[0], find, dtype=object)
    if settings.otherwise != "default":
        return found
    return Result(found.values.where(columns[0].notna(), settings.default), found.problems)


class Default(Settings):
    """`with` what stands in for null: a `value`, or a setting of the `link`."""

    value: str | int | bool | None = None
    link: Literal["base_currency", "revenue_account"] | None = None


@transform("default", inputs=(1, 4), settings=Default)
def default(columns: Columns, settings: Default, link: Link | None) -> Result:
    """The first column that has a value, else a constant or a setting of the link."""
    values = columns[0]
    for column in columns[1:]:
        values = values.where(values.notna(), column)
    fallback: Any = settings.value
    if settings.link:
        if link is None:
            raise ValueError(f"{settings.link} is the link's, and there is no link")
        fallback = getattr(link, settings.link)
    if fallback is None or not values.isna().any():
        return Result(values)
    return Result(values.astype(object).where(values.notna(), fallback))


class Pick(Settings):
    """`with` the fields that are wanted, as lines, of the first element whose fields are as `where` says."""

    fields: tuple[str, ...]
    where: dict[str, str] = Field(default_factory=dict)


@transform("pick", settings=Pick)
def pick(columns: Columns, settings: Pick, link: Link | None) -> Result:
    """Fields of an element of a JSON list: the city of the address whose AddressType is POBOX."""
    import json

    def find(value: Any) -> Any:
        elements = json.loads(value) if isinstance(value, str | bytes) else value
        for element in elements if isinstance(elements, list) else []:
            if isinstance(element, dict) and all(element.get(key) == want for key, want in settings.where.items()):
                found = [str(element[field]) for field in settings.fields if element.get(field) not in (None, "")]
                return "\n".join(found) or None
        return None

    made = [None if value is None or value is pd.NA else find(value) for value in columns[0]]
    return Result(pd.Series(made, index=columns[0].index, dtype=object))


class Every(Settings):
    """`path`: where the value stands in each element, dots for nested objects. `each_once: false`: a line for every
    element, empty where it has none, so that several fields stand side by side. `days: true`: what is written as
    `/Date(1539993600000+0000)/` or as an ISO instant is given as YYYY-MM-DD, anything else as nothing."""

    path: str
    each_once: bool = True
    days: bool = False


def _day(text: str) -> str:
    if found := re.fullmatch(r"/Date\((-?\d{1,14})(?:[+-]\d{4})?\)/", text):
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(found[1]))).date().isoformat()
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        return ""


@transform("every", settings=Every)
def every(columns: Columns, settings: Every, link: Link | None) -> Result:
    """One field of every element of a JSON list, one a line, each once: the invoices that a credit note settles."""
    import json

    def find(value: Any) -> Any:
        # Numbers as they are written: an amount is never a float.
        elements = json.loads(value, parse_float=str) if isinstance(value, str | bytes) else value
        found: list[str] = []
        for element in elements if isinstance(elements, list) else []:
            for part in settings.path.split("."):
                element = element.get(part) if isinstance(element, dict) else None
            text = "" if element is None else str(element)
            found.append(_day(text) if settings.days else text)
        if settings.each_once:
            found = list(dict.fromkeys(one for one in found if one))
        return "\n".join(found) or None

    made = [None if value is None or value is pd.NA else find(value) for value in columns[0]]
    return Result(pd.Series(made, index=columns[0].index, dtype=object))


class Part(Settings):
    """`path`: where the value stands, dots for nested objects, numbers for places of a list (`Linked.0.Id`)."""

    path: str


@transform("part", settings=Part)
def part(columns: Columns, settings: Part, link: Link | None) -> Result:
    """One value out of a JSON object, as text; null where there is none."""
    import json

    def find(value: Any) -> str | None:
        # Numbers as they are written: an amount is never a float.
        inside = json.loads(value, parse_float=str) if isinstance(value, str | bytes) else value
        for step in settings.path.split("."):
            if isinstance(inside, list):
                inside = inside[int(step)] if step.isdigit() and int(step) < len(inside) else None
            else:
                inside = inside.get(step) if isinstance(inside, dict) else None
        return None if inside is None else str(inside)

    # An element of a list (`each`) is an object: nothing that a table of different values could be made of.
    made = [None if value is None or value is pd.NA else find(value) for value in columns[0]]
    return Result(pd.Series(made, index=columns[0].index, dtype=object))


# The neighbour enters its transforms into the same table.
from tieout.mapping import transforms_exact as _exact  # noqa: E402, F401
