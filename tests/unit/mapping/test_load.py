"""Every fault of a file is told with file, line and what was meant. Golden files lie in golden/, beside their input."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from tests.unit.mapping.frames import INCLUDE, demo_link, mappings
from tieout.mapping.load import apply_overrides, load_link, load_links, load_mapping, load_system, unused_overrides
from tieout.mapping.spec import Mapping, mappings_hash, masters
from tieout.model.errors import ConfigurationFault
from tieout.model.link import Link

GOLDEN = Path(__file__).parent / "golden"


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / "include" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("case", sorted(path.stem for path in GOLDEN.glob("mapping_*.yaml")))
def test_faults_of_a_mapping_file(case: str, tmp_path: Path) -> None:
    text = (GOLDEN / f"{case}.yaml").read_text(encoding="utf-8")
    path = written(tmp_path, "mappings/xero/invoice.yaml", text)
    with pytest.raises(ConfigurationFault) as caught:
        load_mapping(path)
    assert f"{caught.value}\n" == (GOLDEN / f"{case}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", sorted(path.stem for path in GOLDEN.glob("link_*.yaml")))
def test_faults_of_a_link_file(case: str, tmp_path: Path) -> None:
    path = written(tmp_path, "links/acme.yaml", (GOLDEN / f"{case}.yaml").read_text(encoding="utf-8"))
    with pytest.raises(ConfigurationFault) as caught:
        load_link(path)
    assert f"{caught.value}\n" == (GOLDEN / f"{case}.txt").read_text(encoding="utf-8")


def test_a_link_names_systems_that_have_mappings(tmp_path: Path) -> None:
    written(tmp_path, "mappings/salesforce/account.yaml", "")
    written(tmp_path, "mappings/xero/account.yaml", "")
    text = (INCLUDE / "links" / "demo.yaml").read_text(encoding="utf-8")
    path = written(tmp_path, "links/acme.yaml", text.replace("crm_system: salesforce", "crm_system: salesforse"))
    with pytest.raises(
        ConfigurationFault, match=r"acme.yaml:4: no mappings for 'salesforse'; did you mean 'salesforce'"
    ):
        load_link(path)


def test_no_message_names_a_folder_of_this_machine(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault) as caught:
        load_mapping(tmp_path / "include" / "mappings" / "xero" / "invoice.yaml")
    assert str(caught.value) == "include/mappings/xero/invoice.yaml: No such file or directory"


def test_unknown_system_is_told_with_its_neighbour() -> None:
    with pytest.raises(ConfigurationFault, match="no mappings for 'xerro'; did you mean 'xero'"):
        load_system(INCLUDE / "mappings", "xerro")


def test_two_links_may_not_share_a_name(tmp_path: Path) -> None:
    text = (INCLUDE / "links" / "demo.yaml").read_text(encoding="utf-8")
    written(tmp_path, "links/a.yaml", text)
    path = written(tmp_path, "links/b.yaml", text)
    with pytest.raises(
        ConfigurationFault, match=r"include/links/b.yaml:2: the name 'demo' is taken by include/links/a"
    ):
        load_links(path.parent)


def test_percentages_are_exact(tmp_path: Path) -> None:
    text = (INCLUDE / "links" / "demo.yaml").read_text(encoding="utf-8").replace(
        "  trigger: order_activated",
        "  trigger: opportunity_won\n  split: {rule: percentages, parts: [{product_code: A, percent: 33.3},"
        " {product_code: B, percent: 66.7}]}",
    )  # fmt: skip
    link = load_link(written(tmp_path, "links/demo.yaml", text))
    assert [part.percent for part in link.policies.split.parts] == [Decimal("33.3"), Decimal("66.7")]


def test_demo_link_is_as_the_demo_needs_it() -> None:
    link = load_links(INCLUDE / "links")["demo"]
    assert (link.crm, link.ledger, link.base_currency) == ("salesforce_demo", "xero_demo", "GBP")
    assert link.tax_codes["standard"] == "OUTPUT2"


def test_key_is_staged_even_where_no_column_is_declared(tmp_path: Path) -> None:
    text = "system: xero\nentity: currency\nobject: Currencies\nkey: Code\nstaged:\n  name: {path: Name, type: text}\n"
    entity = load_mapping(written(tmp_path, "mappings/xero/currency.yaml", text)).staged_entity()
    assert [(field.column, field.path, field.required) for field in entity.fields] == [
        ("id", "Code", True), ("name", "Name", False),
    ]  # fmt: skip


@pytest.mark.parametrize("system", sorted(folder.name for folder in (INCLUDE / "mappings").iterdir()))
def test_real_mappings_declare_their_key_and_find_it(system: str) -> None:
    for mapping in mappings(system).values():
        if mapping.is_staged:
            entity = mapping.staged_entity()
            assert [field.path for field in entity.fields].count(entity.key) == 1
            assert entity.table == f"{system}_{mapping.entity}"


def test_lines_have_no_staging_table() -> None:
    line = mappings("xero")["invoice_line"]
    assert not line.is_staged
    with pytest.raises(ConfigurationFault, match="has no staging table"):
        line.staged_entity()


def test_hash_follows_the_content_alone(tmp_path: Path) -> None:
    source = (INCLUDE / "mappings" / "xero" / "currency.yaml").read_text(encoding="utf-8")
    one = load_mapping(written(tmp_path / "a", "mappings/xero/currency.yaml", source))
    same = load_mapping(written(tmp_path / "b", "mappings/xero/currency.yaml", "# a comment\n" + source))
    other = load_mapping(written(tmp_path / "c", "mappings/xero/currency.yaml", source.replace("Description", "Name")))
    assert one.hash == same.hash != other.hash
    pair = list(mappings("xero").values())
    assert mappings_hash(pair) == mappings_hash(reversed(pair)) != mappings_hash(pair[1:])


def test_changed_file_is_read_again(tmp_path: Path) -> None:
    source = (INCLUDE / "mappings" / "xero" / "currency.yaml").read_text(encoding="utf-8")
    path = written(tmp_path, "mappings/xero/currency.yaml", source)
    before = load_mapping(path)
    path.write_text(source.replace("Description", "Label"), encoding="utf-8")
    import os

    os.utime(path, ns=(1, 1))
    assert load_mapping(path).hash != before.hash


def overridden(**overrides: dict[str, str]) -> Link:
    fields = {key.replace("__", "."): value for key, value in overrides.items()}
    return demo_link().model_copy(update={"field_overrides": fields})


def test_override_of_a_crm_field_replaces_what_is_read() -> None:
    link = overridden(account__name={"from": "account_number, name", "transform": "default"})
    changed = apply_overrides(mappings("salesforce")["account"], link)
    assert changed.read["name"].source == ("account_number", "name")
    assert apply_overrides(mappings("xero")["account"], link) is mappings("xero")["account"]


def test_override_of_a_ledger_field_replaces_what_is_written() -> None:
    link = overridden(invoice__reference={"from": "number", "max_length": "40", "when_longer": "truncate"})
    changed = apply_overrides(mappings("xero")["invoice"], link)
    assert changed.write["Reference"].source == ("number",)
    assert changed.write["Reference"].max_length == 40
    assert mappings_hash([changed]) != mappings_hash([mappings("xero")["invoice"]])


def test_override_with_a_wrong_name_is_told() -> None:
    with pytest.raises(ConfigurationFault, match=r"'account.name': unknown column 'nmae'; did you mean 'name'"):
        apply_overrides(mappings("salesforce")["account"], overridden(account__name={"from": "nmae"}))
    with pytest.raises(ConfigurationFault, match=r"'account.name': unknown field 'form'; did you mean 'from'"):
        apply_overrides(mappings("salesforce")["account"], overridden(account__name={"form": "name"}))


def test_override_that_replaces_nothing_is_found() -> None:
    link = overridden(account__nickname={"from": "name"}, account__name={"from": "name"})
    assert unused_overrides(link, [*mappings("salesforce").values()]) == ["account.nickname"]


def test_masters_of_fields_that_both_sides_hold() -> None:
    found = masters(mappings("salesforce")["account"], mappings("xero")["account"])
    assert found["tax_id"] == "finance"
    assert found["name"] == "crm"
    assert "account_id" not in found


def test_where_gives_the_nearest_line() -> None:
    mapping: Mapping = mappings("xero")["invoice"]
    lines = (INCLUDE / "mappings" / "xero" / "invoice.yaml").read_text(encoding="utf-8").splitlines()
    file, _, line = mapping.where("write", "Reference", "max_length").rpartition(":")
    assert file == "include/mappings/xero/invoice.yaml"
    assert "Reference" in lines[int(line) - 1]


def settings_of(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        inner = [field.annotation, *get_args(field.annotation)]
        for kind in inner:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from settings_of(kind)


def test_every_setting_of_a_link_is_explained() -> None:
    text = (INCLUDE / "links" / "README.md").read_text(encoding="utf-8")
    for name in settings_of(Link):
        assert re.search(rf"[`.]{name}\b|\b{name}:", text), name


def test_examples_of_overrides_are_what_the_loader_takes(tmp_path: Path) -> None:
    text = (INCLUDE / "links" / "README.md").read_text(encoding="utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    source = (INCLUDE / "links" / "demo.yaml").read_text(encoding="utf-8")
    link = load_link(written(tmp_path, "links/demo.yaml", source + example))
    both = [*mappings("salesforce").values(), *mappings("xero").values()]
    changed = [apply_overrides(mapping, link) for mapping in both]
    assert sum(one is not other for one, other in zip(both, changed, strict=True)) == 3
    assert unused_overrides(link, both) == []
