"""Suite files: loading, hash, lint with file:line; suites on frames."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Collection
from datetime import date
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from tieout.mapping.load import load_system
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import PROJECT
from tieout.quality.run import run_suite_on_frame
from tieout.quality.suites import lint, load, suites_hash

SUITES = PROJECT / "expectations"
SYSTEM_COLUMNS = {"_connection", "_source_id", "_version", "_modified_at", "_problems"}


def columns(system: str, entity: str) -> Collection[str] | None:
    if system == "ready":
        return None
    mapping = load_system(PROJECT / "include" / "mappings", system)[entity]
    return {field.column for field in mapping.staged_entity().fields} | SYSTEM_COLUMNS


def test_our_suites_hold() -> None:
    assert lint(SUITES, columns) == []
    assert len(list(SUITES.glob("*/*.json"))) >= 22


def test_every_required_column_has_an_expectation() -> None:
    for system in sorted(folder.name for folder in (PROJECT / "include" / "mappings").iterdir()):
        for name, mapping in load_system(PROJECT / "include" / "mappings", system).items():
            path = SUITES / system / f"{name}.json"
            if not path.is_file():
                continue
            checked = {
                str(one.kwargs["column"])
                for one in load(path).expectations
                if one.type == "expect_column_values_to_not_be_null"
            }
            # The id cannot be missing: a record without one never gets into staging.
            required = {f.column for f in mapping.staged_entity().fields if f.required and f.path != mapping.key}
            assert required <= checked, f"{path.name}: {required - checked}"


def test_the_hash_is_of_names_and_bytes(tmp_path: Path) -> None:
    shutil.copytree(SUITES, tmp_path / "a")
    assert suites_hash(tmp_path / "a") == suites_hash(SUITES)
    (tmp_path / "a" / "xero" / "invoice.json").rename(tmp_path / "a" / "xero" / "bill.json")
    assert suites_hash(tmp_path / "a") != suites_hash(SUITES)


GOOD = {
    "type": "expect_column_values_to_not_be_null",
    "kwargs": {"column": "name"},
    "meta": {"severity": "warn", "reason": "name_missing", "expected": "a name", "remedy": "Give it a name."},
}
TOUCHED = {"table": "x", "column": "c", "ours": "o"}


def written(folder: Path, document: object) -> Path:
    path = folder / "crm" / "account.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document, indent=1))
    return path


def suite_of(*expectations: object, **more: object) -> dict[str, object]:
    return {"name": "crm_account", "expectations": list(expectations)} | more


@pytest.mark.parametrize(
    ("document", "line", "message"),
    [
        ("{\n,", 2, "no JSON"),
        ([], 1, "expected an object"),
        (suite_of(name="account"), 1, "expected 'crm_account'"),
        (suite_of(expectation=[]), 1, "unknown key 'expectation'; did you mean 'expectations'?"),
        (suite_of(GOOD, GOOD | {"type": "expect_column_values_to_not_be_nul"}), 17, "did you mean 'expect_"),
        (suite_of({"type": "x"}), 5, "has `type`, `kwargs` and `meta`"),
        (suite_of(GOOD | {"meta": None}), 5, "has no `meta`"),
        (suite_of(GOOD | {"meta": {**GOOD["meta"], "severity": "wran"}}), 5, "did you mean 'warn'?"),  # type: ignore[dict-item]
        (suite_of(GOOD | {"meta": {**GOOD["meta"], "remedy": ""}}), 5, "meta.remedy is missing"),  # type: ignore[dict-item]
        (suite_of(GOOD | {"meta": {**GOOD["meta"], "reason": "Name!"}}), 5, "no code in snake case"),  # type: ignore[dict-item]
        (suite_of(GOOD | {"kwargs": {"column": "nmae"}}), 5, "unknown column 'nmae'; did you mean 'name'?"),
        (suite_of(GOOD, GOOD), 17, "twice"),
        (suite_of(meta={"touched_by": [{"table": "x"}]}), 1, "touched_by has table, column and ours"),
        (suite_of(meta={"touched_by": [TOUCHED | {"when": "will"}]}), 1, "'is' or 'was'"),
    ],
)  # fmt: skip
def test_lint_says_where_and_what(tmp_path: Path, document: object, line: int, message: str) -> None:
    path = written(tmp_path, document)
    faults = lint(tmp_path, lambda system, entity: {"name", "email"})
    assert len(faults) == 1
    assert message in faults[0].message
    assert (faults[0].path, faults[0].line) == (path, line)


def test_a_suite_that_does_not_hold_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault, match=r"account\.json:5: .*meta"):
        load(written(tmp_path, suite_of(GOOD | {"meta": {}})))
    with pytest.raises(ConfigurationFault, match="cannot be read"):
        load(tmp_path / "none.json")


def invoice(**more: object) -> dict[str, object]:
    return {
        "_key": "O1", "number": "1", "customer_id": "c", "date": date(2026, 3, 1), "due_date": date(2026, 3, 31),
        "currency": "EUR", "subtotal_minor": 3000,
    } | more  # fmt: skip


def test_invoices_that_are_not_ready() -> None:
    frame = pd.DataFrame(
        [
            invoice(),
            invoice(_key="O2", date=None),
            invoice(_key="O3", subtotal_minor=-1),
            invoice(_key="O4", due_date=date(2026, 2, 1)),
            invoice(_key="O5", currency="euro"),
        ]
    ).astype(object)
    result = run_suite_on_frame(frame, SUITES / "ready" / "invoice.json", "_key")
    assert {(f.key, f.reason) for f in result.failures} == {
        ("O2", "date_missing"), ("O3", "total_negative"), ("O4", "due_before_date"), ("O5", "currency_shape"),
    }  # fmt: skip
    assert not result.stopped
    assert "subtotal_minor = -1" in {f.found for f in result.failures}


def test_one_document_twice_stops_the_run() -> None:
    frame = pd.DataFrame([invoice(), invoice()]).astype(object)
    result = run_suite_on_frame(frame, SUITES / "ready" / "invoice.json", "_key")
    assert result.stopped
    assert {f.reason for f in result.of("stop")} == {"document_twice"}


@pytest.mark.parametrize("kind", ["object", "arrow"])
def test_decimals_are_compared_exactly_with_missing_ones_among_them(kind: str) -> None:
    quantities = [Decimal("0.000000000000000001"), None, Decimal(0)]
    column = (
        pd.Series(quantities, dtype=object)
        if kind == "object"
        else pd.Series(quantities, dtype=pd.ArrowDtype(pa.decimal128(38, 18)))
    )
    frame = pd.DataFrame(
        {
            "_key": ["a", "b", "c"], "invoice_id": "i", "description": "d", "quantity": column,
            "unit_price": Decimal(1), "discount_percent": None, "net_minor": pd.array([1, 2, 3], dtype="Int64"),
            "account_code": "200",
        }
    )  # fmt: skip
    result = run_suite_on_frame(frame, SUITES / "ready" / "invoice_line.json", "_key")
    assert {(f.key, f.reason) for f in result.failures} == {("b", "quantity_missing"), ("c", "quantity_not_positive")}


def test_no_rows_import_nothing() -> None:
    path = str(SUITES / "ready" / "invoice.json")
    code = (
        "import sys; from pathlib import Path; import pandas as pd; from tieout.quality import check, docs\n"
        "from tieout.quality.run import run_suite_on_frame\n"
        f"r = run_suite_on_frame(pd.DataFrame({{'_key': []}}), Path({path!r}), '_key')\n"
        "assert not r.failures and 'great_expectations' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PROJECT, env={"PYTHONPATH": "plugins", "PATH": ""})
