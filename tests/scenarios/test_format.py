"""Every scenario folder can be read, has both files and says what it is about."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.scenarios.format import FOLDER, Expect, Given, Step, load_scenario, scenario_names


def test_there_are_enough_scenarios_and_each_has_both_files() -> None:
    assert len(scenario_names()) >= 25
    folders = {path.name for path in FOLDER.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert folders == set(scenario_names())


@pytest.mark.parametrize("name", scenario_names())
def test_a_scenario_names_only_what_it_has(name: str) -> None:
    given, expect = load_scenario(name)
    assert len(given.story.split()) >= 4
    known = {order.order for order in given.crm.orders} | {deal.deal for deal in given.crm.deals}
    known |= {offer.offer for offer in given.crm.offers}
    known |= {item.code for item in given.ledger.items}
    known |= {one.name for step in given.steps for one in step.enter_returns or ()}
    accounts = {account.name for account in given.crm.accounts}
    assert {one.of for one in expect.documents} | {one.of for one in expect.held} <= known
    assert {one.of for one in expect.crm} <= known | accounts
    buyers: set[str | None] = {None, *accounts}
    assert {order.account for order in given.crm.orders} | {deal.account for deal in given.crm.deals} <= buyers
    assert expect.documents or expect.held or expect.products, "a scenario expects something"


def test_an_unknown_word_and_a_step_of_two_verbs_are_refused() -> None:
    with pytest.raises(ValidationError, match="exactly one verb"):
        Step.model_validate({"pay": "A-1", "void": "A-1"})
    with pytest.raises(ValidationError, match="custmers"):
        Given.model_validate({"story": "x", "today": "2026-01-01", "crm": {"custmers": []}})
    with pytest.raises(ValidationError, match="invoices"):
        Expect.model_validate({"invoices": []})
