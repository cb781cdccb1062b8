"""What the tests of this checkout would prove, collected and not run, as JSON; or docs/proofs.json held against it.

    python -m tests.support.marked [--prune]

--prune takes out of docs/proofs.json what no mark says any more: tests that are gone, words that changed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.proven import FILE, MARKED, proofs_of, together
from tests.support.sandbox import ROOT
from tieout.reports import proofs
from tieout.reports.proofs import Proof

#: Only files that have the word are collected: to import all the others would take a minute.
WORD = "mark.proves"


class Seen:
    """What the collected tests prove."""

    def __init__(self) -> None:
        self.found: list[Proof] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.found = [one for item in session.items for one in proofs_of(item)]


def marked_files(root: Path = ROOT) -> list[Path]:
    """The test files that carry the mark."""
    return [file for file in sorted((root / "tests").rglob("test_*.py")) if WORD in file.read_text(encoding="utf-8")]


def collected() -> list[Proof]:
    """What the marked tests prove; pytest collects them in this process.

    Raises:
        SystemExit: they cannot be collected; pytest's words are in it.
    """
    seen, said = Seen(), io.StringIO()
    with contextlib.redirect_stdout(said):
        code = pytest.main(["--collect-only", "-q", "-m", "proves", *map(str, marked_files())], plugins=[seen])
    if code != pytest.ExitCode.OK:
        raise SystemExit(f"the marked tests cannot be collected ({code}):\n{said.getvalue()}")
    return sorted(together(seen.found).values())


def collected_elsewhere() -> list[Proof]:
    """The same, in a process of its own: pytest does not run inside a test."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.marked"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [proofs.proof(one) for one in json.loads(done.stdout)]


def collected_here(config: pytest.Config) -> list[Proof] | None:
    """The same of a run of the whole suite, which has them already; None of any other run."""
    if {Path(one).resolve() for one in config.args} != {ROOT / "tests"}:
        return None
    return sorted(together(one for item in config.stash[MARKED] for one in proofs_of(item)).values())


def pruned(written: Iterable[Proof], marked: Iterable[Proof]) -> list[Proof]:
    """Of what is written, what marks still say."""
    by_key = {one.key: one for one in marked}
    kept = [
        replace(one, tests=tuple(test for test in one.tests if test in by_key[one.key].tests))
        for one in written
        if one.key in by_key and one.ties_out == by_key[one.key].ties_out
    ]
    return [one for one in kept if one.tests]


def differences(written: Iterable[Proof], marked: Iterable[Proof]) -> list[str]:
    """What stands in the file and no mark says, and the other way round, as sentences.

    A system or a pair of which nothing is written at all is new: its cells are empty, and that is true.
    """
    have, wanted = {one.key: one for one in written}, {one.key: one for one in marked}
    subjects = {one.subject for one in have.values()}
    found = []
    for key in sorted({*have, *wanted}):
        one, other = have.get(key), wanted.get(key)
        name = f"{' and '.join(key[0])}, {key[1]}: {key[2]!r}"
        if other is None:
            found.append(f"{name} is written, and no test has this mark")
        elif one is None:
            found += [f"{name} is marked, and was not seen to pass"] if other.subject in subjects else []
        elif one.ties_out != other.ties_out:
            found.append(f"{name}: whether it ties out is written as {one.ties_out} and marked as {other.ties_out}")
        else:
            found += [f"{name}: {test} is written, and is not marked so" for test in set(one.tests) - set(other.tests)]
            found += [f"{name}: {test} was not seen to pass" for test in sorted(set(other.tests) - set(one.tests))]
    return found


def main() -> None:
    """Prints what is marked, or prunes the file."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--prune", action="store_true")
    marked = collected()
    if options.parse_args().prune:
        proofs.write(FILE, pruned(proofs.read(FILE), marked))
    else:
        print(json.dumps([proofs.plain(one) for one in marked], ensure_ascii=False))


if __name__ == "__main__":
    main()
