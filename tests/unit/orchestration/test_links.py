"""What a DAG knows of its link, and that one bad file stops no other."""

from __future__ import annotations

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
