"""Validation rules with a formula: deployed as metadata, refused with Salesforce's words, enforced while active."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox_salesforce.conftest import Api, Shop


def told(api: Api, formula: str, **more: Any) -> Any:
    rule = {"object": "Order", "name": "R", "formula": formula, "message": "No.", **more}
    return api.door("metadata", {"rules": [rule]})


def blocked(api: Api, shop: Shop, formula: str, **fields: Any) -> bool:
    """Whether an order of 30 USD cannot be activated while this rule is active."""
    order = shop.order(**fields)
    shop.line(order, 3, "10")
    told(api, formula)
    status, _ = api.call("PATCH", f"sobjects/Order/{order}", {"Status": "Activated"})
    told(api, formula, active=False)
    api.change("Order", order, Status="Activated")  # one that is not active does nothing
    return status == 400


@pytest.mark.parametrize(
    ("formula", "holds"),
    [
        ("TotalAmount > 29.99", True),
        ("TotalAmount + 1 * 2 - 4 / 2 = 30 && !(TotalAmount <> 30)", True),
        ("AND(ISCHANGED(Status), NOT(ISNEW()), ISPICKVAL(PRIORVALUE(Status), 'Draft'))", True),
        ('ISPICKVAL(Status, "Draft")', False),
        ('TEXT(CurrencyIsoCode) & "/" & Account.Name = "USD/Buyer"', True),
        ("ISBLANK(Account.ParentId) /* none */ || FALSE", True),
        ("Account.AnnualRevenue < TotalAmount", False),  # blank: nothing is compared
        ("BLANKVALUE(Account.AnnualRevenue, 0) < TotalAmount", True),
        ("Account.AnnualRevenue + 1 > 0", False),
        ("TotalAmount / CURRENCYRATE('EUR') * CURRENCYRATE(TEXT(CurrencyIsoCode)) > 24.99", True),
        ("TotalAmount / CURRENCYRATE('EUR') > 25", False),
        ("IF(TotalAmount > 100, TRUE, MAX(1, 2) = 2)", True),
        ("TotalAmount / 0 > 1", False),
    ],
)
def test_formulas(api: Api, shop: Shop, formula: str, holds: bool) -> None:
    (euro,) = api.query("SELECT Id FROM CurrencyType WHERE IsoCode = 'EUR'")
    api.change("CurrencyType", euro["Id"], ConversionRate="1.2")
    api.change("Account", shop.account, Name="Buyer")
    assert blocked(api, shop, formula) is holds


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("Totl > 1", "Field Totl does not exist"),
        ("Account.Nothing__c > 1", "Field Account.Nothing__c does not exist"),
        ("Status = 'Draft'", "is a picklist field"),
        ("SUMME(1)", "Unknown function SUMME"),
        ("NOT(TRUE, FALSE)", "Incorrect number of parameters"),
        ("PRIORVALUE(Account.Name) = 'x'", "may not be used on related fields"),
        ("(1 > 2", "ends too early"),
        ("1 > 2)", "Extra"),
        ("TotalAmount ; 1", "Syntax error"),
    ],
)
def test_a_formula_that_cannot_be_deployed_is_refused(api: Api, formula: str, words: str) -> None:
    rule = {"object": "Order", "name": "R", "formula": formula, "message": "No."}
    status, answer = api.call("POST", "/_sandbox/metadata", {"rules": [rule]})
    assert status == 400 and words in answer["error"]
    assert api.call("GET", "/_sandbox/metadata") == (200, [])
