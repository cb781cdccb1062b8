"""The demo's customers: companies and persons of six countries, with names and addresses as a CRM really holds them.

Pure: the same random generator gives the same customers. The words are in include/demo/vocabulary.yaml.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import stdnum.fr.siren
import stdnum.gb.vat
import stdnum.jp.cn
import stdnum.us.ein
import yaml
from stdnum.iso7064 import mod_11_10

from tieout.scenarios.crm_load import KEY_FIELD, CrmRecord, Ref
from tieout.scenarios.demo_books import DEMO_FOLDER

#: How many tries a valid number may take; one in 97 random GB numbers is valid, so 5,000 misses mean a bug.
MAX_TRIES = 5_000


@dataclass(frozen=True, slots=True)
class Customer:
    """One account to be. `kind` names what is unusual about it (`duplicate_tax_id`, `emoji_name` ...)."""

    key: str
    name: str
    country: str
    currency: str
    tax_id: str | None
    person: tuple[str, str] | None
    street: str
    city: str
    region: str
    postcode: str
    kind: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


def customers(rng: random.Random, count: int, path: Path = DEMO_FOLDER / "vocabulary.yaml") -> tuple[Customer, ...]:
    """`count` customers with different names: one in five a person, then the awkward names, then companies."""
    words = yaml.safe_load(path.read_text(encoding="utf-8"))
    people = count // 5
    awkward = words["awkward_names"]
    names = _company_names(rng, words, count - people - len(awkward))
    made: list[Customer] = []
    for number in range(1, count + 1):
        key = f"demo:account:{number:04}"
        if number <= people:
            made.append(_person(rng, words, key, number))
        elif number <= people + len(awkward):
            entry = awkward[number - people - 1]
            made.append(_company(rng, words, key, entry["country"], entry["name"], entry["kind"]))
        else:
            country = _country(rng, words)
            made.append(_company(rng, words, key, country, next(names), None))
    return tuple(made)


def account_records(customer: Customer) -> Iterator[CrmRecord]:
    """The Account, and for a person the Contact that holds first and last name."""
    fields = {
        "Name": customer.name,
        KEY_FIELD: customer.key,
        "AccountNumber": "C-" + customer.key[-4:],
        "Tax_Id__c": customer.tax_id,
        "Is_Person__c": customer.person is not None,
        "BillingStreet": customer.street,
        "BillingCity": customer.city,
        "BillingState": customer.region or None,
        "BillingPostalCode": customer.postcode,
        "BillingCountry": customer.country,
        "CurrencyIsoCode": customer.currency,
        "Phone": f"+44 1632 96{customer.key[-4:]}",
    }
    yield CrmRecord("Account", customer.key, fields, customer.raw)
    if customer.person:
        first, last = customer.person
        contact = customer.key.replace("account", "contact")
        yield CrmRecord(
            "Contact",
            contact,
            {
                KEY_FIELD: contact,
                "AccountId": Ref(customer.key),
                "FirstName": first,
                "LastName": last,
                "Email": f"person{customer.key[-4:]}@example.com",
                "CurrencyIsoCode": customer.currency,
            },
        )


def tax_id(rng: random.Random, country: str) -> str | None:
    """A tax number that is valid in its country's arithmetic and belongs to nobody we know; None for NL."""
    if country == "GB":
        return "GB" + _valid(lambda: _digits(rng, 9), stdnum.gb.vat.is_valid)
    if country == "DE":
        digits = str(rng.randint(1, 9)) + _digits(rng, 7)
        return f"DE{digits}{mod_11_10.calc_check_digit(digits)}"
    if country == "FR":
        siren = _valid(lambda: _digits(rng, 9), stdnum.fr.siren.is_valid)
        return f"FR{(12 + 3 * (int(siren) % 97)) % 97:02}{siren}"
    if country == "US":
        return _valid(lambda: _digits(rng, 9), stdnum.us.ein.is_valid)
    if country == "JP":
        return _valid(lambda: _digits(rng, 13), stdnum.jp.cn.is_valid)
    return None


def _person(rng: random.Random, words: Mapping[str, Any], key: str, number: int) -> Customer:
    country = _country(rng, words)
    place = words["countries"][country]
    # The middle initial keeps two people apart who share both names, as the ledger's unique contact names demand.
    first = f"{rng.choice(place['first'])} {'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[number % 26]}{number // 26 or ''}."
    last = rng.choice(place["last"])
    return Customer(
        key, f"{first} {last}", place["name"], place["currency"], None, (first, last), *_address(rng, place)
    )


def _company(
    rng: random.Random, words: Mapping[str, Any], key: str, country: str, name: str, kind: str | None
) -> Customer:
    place = words["countries"][country]
    full = name if kind else f"{name} {rng.choice(place['firms'])}"
    number = tax_id(rng, country)
    return Customer(key, full, place["name"], place["currency"], number, None, *_address(rng, place), kind=kind)


def _company_names(rng: random.Random, words: Mapping[str, Any], count: int) -> Iterator[str]:
    every = [f"{first} {second}" for first in words["company_first"] for second in words["company_second"]]
    return iter(rng.sample(every, count))


def _country(rng: random.Random, words: Mapping[str, Any]) -> str:
    shares: dict[str, int] = words["shares"]
    return rng.choices(list(shares), weights=list(shares.values()))[0]


def _address(rng: random.Random, place: Mapping[str, Any]) -> tuple[str, str, str, str]:
    city, region, postcode = rng.choice(place["cities"])
    return rng.choice(place["streets"]), city, region, postcode


def _digits(rng: random.Random, count: int) -> str:
    return "".join(str(rng.randint(0, 9)) for _ in range(count))


def _valid(make: Any, is_valid: Any) -> str:
    for _ in range(MAX_TRIES):
        number: str = make()
        if is_valid(number):
            return number
    raise RuntimeError(f"no valid number in {MAX_TRIES} tries")
