"""Which customer of the ledger an account is: one certain match is linked, anything else waits for a person."""

from __future__ import annotations

from tieout.scenarios.billing import Hold
from tieout.scenarios.customers import Create, Linked, match, normalised_name

ACCOUNT = {
    "account_id": "001A",
    "name": "Müller Limited",
    "tax_id": "GB123456789",
    "postcode": "SW1A 1AA",
    "country": "GB",
}
CUSTOMER = {
    "account_id": "c-1",
    "name": "MULLER LTD.",
    "tax_id": None,
    "postcode": "sw1a1aa",
    "country": "GB",
    "status": "active",
}


def one(account=ACCOUNT, customers=(), taken=None, approved=None, create=True, others=()):
    verdicts = match([account, *others], list(customers), taken=taken or {}, approved=approved or {}, create=create)
    return verdicts[account["account_id"]]


def test_same_tax_id_links():
    verdict = one(customers=[CUSTOMER | {"name": "Another Name", "tax_id": "GB123456789"}])
    assert isinstance(verdict, Linked)
    assert verdict.evidence["rule"] == "tax_id"


def test_same_normalised_name_and_address_links():
    verdict = one(customers=[CUSTOMER])
    assert isinstance(verdict, Linked)
    assert verdict.evidence["rule"] == "name_and_address"


def test_same_name_at_another_address_is_held():
    assert one(customers=[CUSTOMER | {"postcode": "EC1A 1BB"}]).reason == "customer_ambiguous"


def test_same_name_and_address_with_another_tax_id_is_held():
    assert isinstance(one(customers=[CUSTOMER | {"tax_id": "GB999999973"}]), Hold)


def test_several_customers_with_the_tax_id_are_held():
    twins = [CUSTOMER | {"account_id": f"c-{n}", "tax_id": "GB123456789"} for n in (1, 2)]
    verdict = one(customers=twins)
    assert verdict.reason == "customer_ambiguous"
    assert "c-1" in verdict.found
    assert "c-2" in verdict.found


def test_two_accounts_with_one_tax_id_are_both_held():
    other = ACCOUNT | {"account_id": "001B", "name": "Else"}
    verdicts = match([ACCOUNT, other], [], taken={}, approved={}, create=True)
    assert {verdict.reason for verdict in verdicts.values()} == {"duplicate_tax_id"}


def test_none_is_created_or_held_as_the_link_says():
    assert isinstance(one(), Create)
    assert one(create=False).reason == "customer_not_found"


def test_customer_of_another_account_is_not_taken():
    assert one(customers=[CUSTOMER], taken={"c-1": "001Z"}).reason == "customer_taken"


def test_two_accounts_cannot_take_one_customer_in_one_run():
    account = ACCOUNT | {"tax_id": None}
    verdicts = match([account, account | {"account_id": "001B"}], [CUSTOMER], taken={}, approved={}, create=True)
    assert isinstance(verdicts["001A"], Linked)
    assert verdicts["001B"].reason == "customer_taken"


def test_approved_customer_wins_over_every_rule():
    twins = [CUSTOMER | {"account_id": f"c-{n}", "tax_id": "GB123456789"} for n in (1, 2)]
    assert one(customers=twins, approved={"001A": "c-2"}).ledger_id == "c-2"


def test_archived_customer_is_no_candidate():
    assert isinstance(one(customers=[CUSTOMER | {"status": "archived"}]), Create)


def test_customer_that_carries_our_id_is_ours():
    verdict = one(customers=[CUSTOMER | {"name": "Renamed", "number": "001A"}])
    assert isinstance(verdict, Linked)
    assert verdict.origin == "found"


def test_normalised_name():
    assert normalised_name("  ACME, Inc. ") == normalised_name("Acme Incorporated")
    assert normalised_name("株式会社 例") == "株式会社 例"
