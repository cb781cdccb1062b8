"""What lint finds in a mapping that was made wrong in one place, and that it finds nothing in ours."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.mapping.frames import demo_link, mappings
from tieout.mapping.lint import Finding, lint
from tieout.mapping.spec import FieldMapping, Mapping, StagedColumn


def every() -> list[Mapping]:
    return [*mappings("salesforce").values(), *mappings("xero").values()]


def with_field(system: str, entity: str, half: str, name: str, **given: Any) -> list[Finding]:
    """Findings after one field was replaced or added."""
    mapping = mappings(system)[entity]
    given = {{"source": "from", "settings": "with"}.get(key, key): value for key, value in given.items()}
    fields = {**getattr(mapping, half), name: FieldMapping.model_validate(given)}
    changed = mapping.model_copy(update={half: fields})
    return lint([changed if other is mapping else other for other in every()])


def messages(findings: list[Finding]) -> list[str]:
    return [finding.message for finding in findings]


def test_our_mappings_have_no_findings() -> None:
    assert lint(every(), demo_link()) == []


def test_a_finding_names_file_and_line() -> None:
    found = with_field("xero", "invoice", "write", "Reference", source="reference")
    assert [str(finding).split(": ")[0].rpartition(":")[0] for finding in found] == [
        "include/mappings/xero/invoice.yaml"
    ]
    assert found[0].where.rpartition(":")[2].isdigit()


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("Reference", {"source": "reference"},
         "'Reference' takes 255 characters and its source may be of any length: "
         "say 'max_length: 255' and 'when_longer: reject' or 'truncate'"),
        ("Reference", {"source": "reference", "max_length": 300, "when_longer": "truncate"},
         "'Reference' takes 255 characters, the mapping allows 300"),
        ("Refrence", {"source": "reference"}, "unknown field 'Refrence' of Invoices; did you mean 'Reference'?"),
        ("Total", {"source": ["total_minor", "currency"], "transform": "amount"},
         "'Total' is computed by xero: it cannot be written"),
        ("CurrencyRate", {"source": "exchange_rate", "precision": 6},
         "'CurrencyRate' is an exchange rate: say its direction, 'rate: foreign_per_base'"),
        ("CurrencyRate", {"source": "exchange_rate", "precision": 6, "rate": "base_per_foreign"},
         "'CurrencyRate': xero gives foreign_per_base, the mapping says base_per_foreign"),
        ("CurrencyRate", {"source": "exchange_rate", "precision": 9, "rate": "foreign_per_base"},
         "'CurrencyRate' takes 6 decimals, the mapping allows 9"),
    ],
)  # fmt: skip
def test_written_field(name: str, given: dict[str, Any], message: str) -> None:
    assert messages(with_field("xero", "invoice", "write", name, **given)) == [message]


def test_price_without_precision() -> None:
    found = with_field("xero", "invoice_line", "write", "UnitAmount", source="unit_price", when_null="reject")
    assert messages(found) == ["'UnitAmount' takes 4 decimals: say 'precision: 4'"]


def test_source_that_is_longer_than_the_target_by_the_other_sides_limits() -> None:
    found = with_field("xero", "account", "write", "Addresses[0].PostalCode", source="name", max_length=50)
    assert messages(found) == [
        "'Addresses[0].PostalCode' takes 50 characters and its source may have 255 characters: "
        "say 'when_longer: reject' or 'truncate'"
    ]
    short = with_field("xero", "account", "write", "Addresses[0].PostalCode", source="postcode", max_length=50)
    assert short == []  # 20 characters at Salesforce


def test_required_field_that_is_not_written() -> None:
    mapping = mappings("xero")["account"]
    fields = {name: field for name, field in mapping.write.items() if name != "Name"}
    found = lint([mapping.model_copy(update={"write": fields})])
    assert messages(found) == ["'Name' is required by Contacts and is not written"]


def test_two_masters_of_one_field_are_both_named() -> None:
    found = with_field("xero", "account", "read", "tax_id", source="tax_number", transform="trim", master="crm")
    assert sorted(finding.where.rpartition("/")[0] for finding in found) == [
        "include/mappings/salesforce",
        "include/mappings/xero",
    ]
    assert all("account.tax_id has two masters" in message for message in messages(found))


def test_rate_that_is_read_without_direction() -> None:
    found = with_field("salesforce", "order", "read", "exchange_rate", source="exchange_rate")
    assert messages(found) == ["'exchange_rate' is an exchange rate: say its direction, 'rate: foreign_per_base'"]


def test_staged_path_and_object_that_the_vendor_does_not_have() -> None:
    mapping = mappings("xero")["currency"]
    staged = {**mapping.staged, "label": StagedColumn(path="Descripton", type="text")}
    assert messages(lint([mapping.model_copy(update={"staged": staged})])) == [
        "unknown field 'Descripton' of Currencies; did you mean 'Description'?"
    ]
    assert messages(lint([mapping.model_copy(update={"object": "Curencies"})])) == [
        "unknown object 'Curencies'; did you mean 'Currencies'?"
    ]


def test_override_that_replaces_nothing() -> None:
    link = demo_link().model_copy(update={"field_overrides": {"account.nickname": {"from": "name"}}})
    assert [str(finding) for finding in lint(every(), link)] == [
        "include/links/demo.yaml: error: field_overrides 'account.nickname' replaces nothing: no mapping has it"
    ]
