"""docs/reconciliation.md says by which rule each class is decided, in the order in which they are asked."""

from __future__ import annotations

from pathlib import Path

from tieout.reconcile.classes import ORDERED

PAGE = Path(__file__).parents[3] / "docs" / "reconciliation.md"


def test_every_class_stands_there_with_its_rule_and_its_fixes() -> None:
    rows = [
        line.split(" | ")
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and "(`" in line[:60]
    ]
    told = [(row[0].removeprefix("| "), row[1], row[2].removesuffix(" |").strip(" |")) for row in rows]
    assert told == [
        (f"{one.words} (`{one.name}`)", one.rule, ", ".join(fix.replace("_", " ") for fix in one.fixes))
        for one in ORDERED
    ]
