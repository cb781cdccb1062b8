"""From Airflow's connection to the model's: empty fields left out, addresses as URLs, other types refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from tieout.connectors import systems
from tieout.connectors.base import Finding
from tieout.model.errors import ConfigurationFault
from tieout.orchestration.connections import translate
from tieout.orchestration.provider import get_provider_info


@dataclass
class Stored:
    """The fields that Airflow's connection has."""

    conn_id: str = "crm"
    conn_type: str | None = "tieout_salesforce"
    host: str | None = "https://login.salesforce.com"
    login: str | None = "client"
    password: str | None = "secret-of-the-test"
    port: int | None = None
    extra_dejson: dict[str, Any] = field(default_factory=dict)


def test_a_form_with_empty_fields_gives_a_connection_without_them() -> None:
    made = translate(Stored(extra_dejson={"auth": "jwt", "username": "", "api_version": None, "allowed_hosts": "a, b"}))
    assert made.system == "salesforce"
    assert made.extra == {"auth": "jwt", "allowed_hosts": "a, b"}
    assert "secret-of-the-test" not in repr(made)


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("https://login.salesforce.com/", None, "https://login.salesforce.com"),
        ("login.salesforce.com", None, "https://login.salesforce.com"),
        ("http://127.0.0.1:8090/salesforce", None, "http://127.0.0.1:8090/salesforce"),
        ("crm.example", 8443, "https://crm.example:8443"),
    ],
)
def test_addresses_become_urls(host: str, port: int | None, expected: str) -> None:
    assert translate(Stored(host=host, port=port)).host == expected


@pytest.mark.parametrize("host", ["", None, "ftp://x", "https://"])
def test_an_address_that_is_none_is_refused(host: str | None) -> None:
    with pytest.raises(ConfigurationFault, match="expected a URL"):
        translate(Stored(host=host))


def test_another_type_of_connection_is_refused_by_name() -> None:
    expected = " or ".join(f"tieout_{name}" for name in systems.names())
    with pytest.raises(ConfigurationFault, match=f"'crm' is of type 'http'; expected {expected}"):
        translate(Stored(conn_type="http"))


def test_every_form_hides_what_it_does_not_use_and_its_hook_can_be_imported() -> None:
    from importlib import import_module

    for kind in get_provider_info()["connection-types"]:
        module, _, name = kind["hook-class-name"].rpartition(".")
        hook = getattr(import_module(module), name)
        assert hook.conn_type == kind["connection-type"]
        assert set(kind["ui-field-behaviour"]["hidden-fields"]) == {"port", "schema"}
        json.dumps(kind)  # Airflow hands it to the browser


def test_the_test_button_tells_what_is_wrong_and_what_to_do() -> None:
    from tieout.orchestration.hooks import in_words

    good, bad = Finding(True, "signed in"), Finding(False, "no right to read Order", "give the profile Read on Order")
    assert in_words([good]) == (True, "signed in")
    assert in_words([good, bad]) == (False, "no right to read Order: give the profile Read on Order")
