"""Connections for a shell: where they come from, and that no secret is ever in a message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tieout.model.errors import ConfigurationFault
from tieout.model.settings import Settings, load_settings
from tieout.scenarios.credentials import from_environment

SECRET = "correct-horse-battery-staple"
ENTRY = {
    "conn_type": "tieout_xero", "host": "https://api.xero.com", "login": "client", "password": SECRET,
    "extra": json.dumps({"tenant_id": "t"}),
}  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TIEOUT_HOME", str(tmp_path))
    monkeypatch.delenv("TIEOUT_CONNECTIONS_FILE", raising=False)
    return load_settings()


def write(settings: Settings, text: str, mode: int = 0o600) -> None:
    settings.connections_file.write_text(text)
    settings.connections_file.chmod(mode)


def test_a_connection_comes_from_the_file(settings: Settings) -> None:
    write(settings, json.dumps({"books": ENTRY}))
    found = from_environment("books", settings)
    assert (found.system, found.host, found.login, found.password) == ("xero", ENTRY["host"], "client", SECRET)
    assert found.extra == {"tenant_id": "t"}
    assert SECRET not in repr(found) and "client" not in repr(found)


def test_airflows_own_variable_comes_first(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write(settings, json.dumps({"books": ENTRY}))
    other = {**ENTRY, "host": "https://other.example", "extra": {"tenant_id": "u"}}
    monkeypatch.setenv("AIRFLOW_CONN_BOOKS", json.dumps(other))
    found = from_environment("books", settings)
    assert (found.host, found.extra) == ("https://other.example", {"tenant_id": "u"})


def test_no_file_says_both_ways(settings: Settings) -> None:
    with pytest.raises(ConfigurationFault, match=r"set AIRFLOW_CONN_BOOKS .* `airflow connections export`"):
        from_environment("books", settings)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_file_that_others_can_open_is_refused(settings: Settings, mode: int) -> None:
    write(settings, json.dumps({"books": ENTRY}), mode)
    with pytest.raises(ConfigurationFault, match="can be read by others: chmod 600") as raised:
        from_environment("books", settings)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"books": {"password": "' + SECRET + '"', "connections.json: not JSON"),
        (f'["{SECRET}"]', "expected a JSON object"),
        (json.dumps({"other": ENTRY}), "no connection 'books'; it has other"),
        ("{}", "it has none"),
        (
            json.dumps({"books": {**ENTRY, "conn_type": "http"}}),
            "has type 'http'; expected tieout_hubspot or tieout_quickbooks or tieout_salesforce",
        ),
        (json.dumps({"books": {**ENTRY, "extra": SECRET}}), "not JSON"),
    ],
)
def test_what_is_wrong_is_told_without_the_secret(settings: Settings, content: str, words: str) -> None:
    write(settings, content)
    with pytest.raises(ConfigurationFault) as raised:
        from_environment("books", settings)
    assert words in str(raised.value) and SECRET not in str(raised.value)
    assert raised.value.__cause__ is None, "the cause would show the text in a traceback"


def test_a_variable_that_is_no_json_is_told_without_the_secret(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BOOKS", f"xero://client:{SECRET}@api.xero.com")
    with pytest.raises(ConfigurationFault, match="AIRFLOW_CONN_BOOKS: not JSON") as raised:
        from_environment("books", settings)
    assert SECRET not in str(raised.value)


def test_an_entry_that_is_no_object_is_told(settings: Settings) -> None:
    write(settings, json.dumps({"books": f"xero://client:{SECRET}@api.xero.com"}))
    with pytest.raises(ConfigurationFault, match="connection 'books' is no JSON object") as raised:
        from_environment("books", settings)
    assert SECRET not in str(raised.value)
