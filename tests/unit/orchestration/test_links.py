"""What a DAG knows of its link, and that one bad file stops no other."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from tieout.orchestration.links import link_cards

GOOD = "name: acme\ntime_zone: Europe/Berlin\nschedules: {quote_to_cash: '5 * * * *'}\nowners: {a: ops, b: finance}\n"


def test_a_card_has_schedule_zone_and_owners(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(GOOD)
    (card,) = link_cards(tmp_path)
    assert (card.name, card.time_zone, card.schedule.quote_to_cash) == ("acme", "Europe/Berlin", "5 * * * *")
    assert card.owners == ("finance", "ops")
    assert card.fault is None


def test_a_file_that_cannot_be_used_keeps_its_dag_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(GOOD)
    (tmp_path / "broken.yaml").write_text("name: [unclosed")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    (tmp_path / "other.yaml").write_text(GOOD)
    (tmp_path / "typo.yaml").write_text("name: typo\nschedules: {quote_to_cahs: '@daily'}\n")
    cards = {card.name: card.fault for card in link_cards(tmp_path)}
    assert cards["acme"] is None
    assert cards["broken"] and "cannot be read as YAML" in cards["broken"]
    assert cards["latin"] and "cannot be read" in cards["latin"]
    assert cards["other"] == "other.yaml: name: expected 'other', found 'acme'"
    assert cards["typo"] and "quote_to_cahs" in cards["typo"]


def test_a_card_carries_its_calendar_and_its_calendars_fault(tmp_path: Path) -> None:
    links, calendars = tmp_path / "links", tmp_path / "calendars"
    links.mkdir()
    calendars.mkdir()
    (calendars / "weeks.yaml").write_text(
        "kind: weeks\npattern: 4-4-5\nyear_ends: {weekday: friday, month: 6, rule: last}\n"
    )
    (calendars / "gap.yaml").write_text(
        "kind: custom\nyears:\n  2026: [{first: 2026-01-01, last: 2026-01-31}, {first: 2026-02-02, last: 2026-02-28}]\n"
    )
    (calendars / "list.yaml").write_text("- 1\n")
    (calendars / "torn.yaml").write_text("kind: [\n")
    (links / "plain.yaml").write_text("name: plain\n")
    for name in ("weeks", "gap", "list", "torn", "lost"):
        (links / f"{name}.yaml").write_text(f"name: {name}\ncalendar: {name}\nowners: {{a: ops}}\n")
    cards = {card.name: card for card in link_cards(links, calendars)}
    assert cards["plain"].calendar.name == "calendar_months" and cards["plain"].fault is None
    assert cards["weeks"].calendar.period_of(date(2026, 6, 26)).label == "FY2026-P12"
    assert cards["weeks"].fault is None
    faults = {name: cards[name].fault or "" for name in ("gap", "list", "torn", "lost")}
    assert "gap.yaml: calendar: calendar gap: years.2026.1: FY2026-P02 starts on 2026-02-02" in faults["gap"]
    assert "expected months, weeks" in faults["list"] and "cannot be read as YAML" in faults["torn"]
    assert faults["lost"] == (
        "lost.yaml: calendar: no calendar 'lost': include/calendars has calendar_months, gap, list, torn, weeks"
    )
    assert cards["gap"].owners == ("ops",), "those who are told of it stay"


def test_an_unknown_time_zone_stops_its_own_link_only(tmp_path: Path) -> None:
    (tmp_path / "moon.yaml").write_text("name: moon\ntime_zone: Moon/Tranquility\n")
    (tmp_path / "acme.yaml").write_text(GOOD)
    cards = {card.name: card for card in link_cards(tmp_path)}
    assert cards["moon"].fault == "moon.yaml: time_zone: unknown time zone 'Moon/Tranquility'"
    assert cards["acme"].fault is None
