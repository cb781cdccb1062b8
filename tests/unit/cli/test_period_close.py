"""`tieout period report, checklist, accept, close, recount` over a link whose systems are empty."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.support.sandbox import SandboxProcess
from tests.unit.cli.conftest import Command

pytestmark = pytest.mark.slow
MARCH = ("demo", "FY2026-P03")


def test_the_way_from_a_report_to_a_close(
    command: Command, sandbox: SandboxProcess, connect_demo: Callable[..., None]
) -> None:
    connect_demo(sandbox)
    first = command("period", "checklist", *MARCH, "--json")
    facts = {one["name"]: one for one in json.loads(first.output)["facts"]}
    assert not facts["report"]["met"] and "tieout period report demo FY2026-P03" in facts["report"]["remedy"]

    report = command("period", "report", *MARCH, "--json")
    assert report.exit_code == 0, report.output
    made = json.loads(report.output)
    assert (made["state"], made["totals"], made["control"]["difference"]) == ("tied", [], 0)
    again = command("period", "report", *MARCH)
    assert f"hash {made['hash']}" in again.output and "Accounts Receivable (610) is 0.00" in again.output

    shown = command("period", "checklist", *MARCH)
    assert "31 of 31 days have no report" in shown.output and "fact:days" in shown.output
    assert command("period", "accept", *MARCH, "fact:days", "--by", "Petra", "--note", "before Tieout").exit_code == 0
    assert "Petra: before Tieout" in command("period", "checklist", *MARCH).output
    refused = command("period", "accept", *MARCH, "fact:writes", "--by", "Petra", "--note", "x")
    assert refused.exit_code != 0 and "nobody may accept" in refused.output
    strange = command("period", "accept", *MARCH, "weather", "--by", "Petra", "--note", "x")
    assert strange.exit_code != 0 and "expected a subject that begins with" in strange.output

    early = command("period", "close", *MARCH, "--by", "Rex")
    assert early.exit_code != 0 and "is open: a period is closed after somebody began closing it" in early.output
    assert command("period", "begin-closing", *MARCH, "--by", "Petra").exit_code == 0
    missing = command("period", "close", *MARCH, "--by", "Rex")
    assert missing.exit_code != 0
    assert "the last day is signed by two people: 2026-03-31 has no report to sign" in missing.output
    assert "every day was reconciled" not in missing.output

    nothing = command("period", "recount", "demo")
    assert nothing.exit_code != 0 and "has no closed period" in nothing.output
    unknown = command("period", "report", "demo", "FY2026-P44")
    assert unknown.exit_code != 0 and "FY2026-P44" in unknown.output
