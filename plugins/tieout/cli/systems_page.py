"""docs/SYSTEMS.md: systems and pairs beside the scenarios, and what was shown of each; of docs/proofs.json alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from tieout.connectors import systems
from tieout.connectors.registry import of_role
from tieout.reports.proofs import SCENARIOS, Proof

HEAD = """\
# Systems and pairs, and what was shown of each

`make proofs` runs the tests that carry the mark `proves`, notes those that passed in docs/proofs.json, and writes this
page of it. A test that fails or is skipped takes its line away, and the suite fails where a line names a test that is
not there, or a mark has no line. Everything runs against the sandboxes in `sandbox/`, which other people's clients use
unchanged; no line says anything of a vendor's real system (the READMEs in plugins/tieout/connectors/ say what could
not be checked).

A number counts proofs, which stand below with their tests; an empty cell is **not shown**. `0.00`: one of them ended in
a tie-out of both systems with nothing unexplained. What a system's pairs show is counted at the system too, but for
webhooks: which of the two sent them is said by proofs of its own.
"""
#: What is of one system alone: its pairs' proofs do not count for it.
OWN = ("connector", "webhooks")


def page(proofs: Sequence[Proof]) -> str:
    """The whole page, without the line that says how generated pages are made.

    A system is a row as soon as it has a folder, with proofs or without; what is proven of systems that are gone is
    left out.
    """
    names = systems.names()
    pairs = [(crm, ledger) for crm in of_role("crm") for ledger in of_role("ledger")]
    parts = [HEAD, "## Systems\n", _table("system", [((name,), _about(name, proofs)) for name in names])]
    parts += ["## Pairs\n", _table("pair", [(pair, _of(pair, proofs)) for pair in pairs], without="connector")]
    for subject in [*((name,) for name in names), *pairs]:
        parts += [f"## {_title(subject)}\n", *_section(subject, proofs)]
    return "\n".join(parts)


def _of(subject: tuple[str, ...], proofs: Iterable[Proof]) -> list[Proof]:
    return [one for one in proofs if one.subject == subject]


def _about(name: str, proofs: Iterable[Proof]) -> list[Proof]:
    """Of the system itself, and what its pairs show of it."""
    return [one for one in proofs if one.subject == (name,) or (name in one.subject and one.scenario not in OWN)]


def _title(subject: tuple[str, ...]) -> str:
    return " and ".join(systems.label(name) for name in subject)


def _link(subject: tuple[str, ...]) -> str:
    title = _title(subject)
    anchor = "".join(sign for sign in title.lower().replace(" ", "-") if sign.isalnum() or sign in "-_")
    return f"[{title}](#{anchor})"


def _table(first: str, rows: Iterable[tuple[tuple[str, ...], list[Proof]]], without: str = "") -> str:
    words = [word for word in SCENARIOS if word != without]
    lines = [
        f"| {first} | " + " | ".join(SCENARIOS[word] for word in words) + " |",
        "|---|" + "---|" * len(words),
        *(
            f"| {_link(subject)} | " + " | ".join(_cell(word, found) for word in words) + " |"
            for subject, found in rows
        ),
    ]
    return "\n".join(lines) + "\n"


def _cell(scenario: str, proofs: Iterable[Proof]) -> str:
    found = [one for one in proofs if one.scenario == scenario]
    if not found:
        return ""
    return f"{len(found)}, 0.00" if any(one.ties_out for one in found) else str(len(found))


def _section(subject: tuple[str, ...], proofs: Sequence[Proof]) -> Iterator[str]:
    own = _of(subject, proofs)
    for word, heading in SCENARIOS.items():
        found = [one for one in own if one.scenario == word]
        if found:
            yield f"{heading.capitalize()}:\n"
            yield "\n".join(line for one in found for line in _lines(one)) + "\n"
    known = {one.scenario for one in own}
    if len(subject) == 1:
        others = [one for one in _about(subject[0], proofs) if one.subject != subject]
        for pair, some in groupby(sorted(others), key=lambda one: one.subject):
            shown = {one.scenario for one in some}
            known |= shown
            yield f"In the pair {_link(pair)}: {_listed(word for word in SCENARIOS if word in shown)}.\n"
    if missing := [word for word in SCENARIOS if word not in known and (len(subject) == 1 or word != "connector")]:
        yield f"Not shown: {_listed(missing)}.\n"


def _lines(proof: Proof) -> Iterator[str]:
    """The proof in words, and where: a file with the number of its tests, or the one test."""
    yield f"- {proof.words}" + (" (ties out to 0.00)" if proof.ties_out else "")
    for file, found in groupby(proof.tests, key=lambda test: test.split("::", 1)[0]):
        tests = list(found)
        yield f"  - `{tests[0]}`" if len(tests) == 1 else f"  - `{file}`, {len(tests)} tests"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(SCENARIOS[word] for word in words)
