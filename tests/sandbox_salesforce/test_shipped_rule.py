"""The credit rule that the project ships is the one that the sandbox enforces; its fields are those of the setup."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.sandbox_salesforce.conftest import Api, Shop

SETUP = Path(__file__).parents[2] / "include" / "crm_setup"
OBJECTS = SETUP / "credit" / "force-app" / "main" / "default" / "objects"
RULE = OBJECTS / "Order" / "validationRules" / "Tieout_Credit_Limit.validationRule-meta.xml"
SPACE = "{http://soap.sforce.com/2006/04/metadata}"


def said(file: Path) -> dict[str, str]:
    """The elements of a metadata file."""
    return {part.tag.removeprefix(SPACE): part.text or "" for part in ElementTree.parse(file).getroot()}


def deploy(api: Api, xml: bytes) -> None:
    answer = api.client.post("/_sandbox/validation-rules/Order", content=xml)
    assert answer.status_code == 200, answer.text


@pytest.fixture
def org(api: Api) -> Api:
    """An organisation with the fields of the setup; the rule is not deployed yet."""
    api.door("metadata", json.loads((SETUP / "salesforce.json").read_text(encoding="utf-8")))
    return api


def test_what_is_shipped_is_what_is_enforced(org: Api) -> None:
    deploy(org, RULE.read_bytes())
    _, documents = org.call("GET", "/_sandbox/metadata")
    (enforced,) = (rule for document in documents for rule in document.get("rules", ()))
    shipped = said(RULE)
    assert (enforced["object"], enforced["name"]) == (RULE.parents[1].name, shipped["fullName"])
    assert enforced["formula"] == shipped["errorConditionFormula"]
    assert enforced["message"] == shipped["errorMessage"]
    assert enforced["errorField"] == shipped["errorDisplayField"]
    assert enforced["active"] is (shipped["active"] == "true") is True
    assert f"{shipped['fullName']}.validationRule-meta.xml" == RULE.name
    # Salesforce's own bounds.
    assert len(shipped["errorMessage"]) <= 255 and len(shipped["errorConditionFormula"]) <= 3900


def test_the_package_brings_the_fields_of_the_setup() -> None:
    setup = json.loads((SETUP / "salesforce.json").read_text(encoding="utf-8"))["fields"]["Account"]
    credit = {one["name"]: one for one in setup if "_Credit_" in one["name"] or one["name"].startswith(
        ("Tieout_Open", "Tieout_Overdue"))}  # fmt: skip
    files = {file.name.removesuffix(".field-meta.xml"): said(file) for file in OBJECTS.glob("Account/fields/*.xml")}
    assert files.keys() == credit.keys() and len(files) == 7
    for name, field in credit.items():
        assert files[name]["fullName"] == name
        assert {key: str(value) for key, value in field.items() if key != "name"} == {
            key: files[name][key] for key in field if key != "name"
        }
    project = json.loads((SETUP / "credit" / "sfdx-project.json").read_text(encoding="utf-8"))
    assert (SETUP / "credit" / project["packageDirectories"][0]["path"] / "main").is_dir()


@pytest.mark.parametrize(
    ("available", "currency", "freight", "blocked"),
    [
        ("30", "USD", None, False),
        ("29.99", "USD", None, True),
        ("31", "USD", "1.01", True),
        ("-5", "USD", None, True),
        (None, None, None, False),  # nobody decided on a limit
        ("24.99", "EUR", None, True),  # 30 USD are 25 EUR, as 1.2 USD are one
        ("25", "EUR", None, False),
    ],
)
def test_an_order_beyond_the_credit_cannot_be_activated(
    org: Api, available: str | None, currency: str | None, freight: str | None, blocked: bool
) -> None:
    deploy(org, RULE.read_bytes())
    shop = Shop(org)
    for code, rate in (("EUR", "1"), ("USD", "1.2")):
        (found,) = org.query(f"SELECT Id FROM CurrencyType WHERE IsoCode = '{code}'")
        org.change("CurrencyType", found["Id"], ConversionRate=rate)
    limit = None if available is None else "1000"
    org.change("Account", shop.account, Tieout_Credit_Limit__c=limit, Tieout_Available_Credit__c=available,
               Tieout_Credit_Currency__c=currency)  # fmt: skip
    order = shop.order(Freight__c=freight)
    shop.line(order, 3, "10")
    status, errors = org.call("PATCH", f"sobjects/Order/{order}", {"Status": "Activated"})
    assert (status == 400) is blocked
    if blocked:
        assert errors[0]["errorCode"] == "FIELD_CUSTOM_VALIDATION_EXCEPTION" and errors[0]["fields"] == ["Status"]
        assert "available credit" in errors[0]["message"]
        inactive = RULE.read_bytes().replace(b"<active>true</active>", b"<active>false</active>")
        deploy(org, inactive)
        org.change("Order", order, Status="Activated")
    # What is active already can be changed, whatever is left.
    deploy(org, RULE.read_bytes())
    org.change("Account", shop.account, Tieout_Available_Credit__c="-1")
    org.change("Order", order, Description="changed")


def test_a_rule_is_refused_where_its_fields_are_missing(api: Api) -> None:
    answer = api.client.post("/_sandbox/validation-rules/Order", content=RULE.read_bytes())
    assert answer.status_code == 400 and "does not exist" in answer.text
    assert api.client.post("/_sandbox/validation-rules/Order", content=b"<a/>").status_code == 400
    assert api.client.post("/_sandbox/validation-rules/Order", content=b"no xml").status_code == 400
