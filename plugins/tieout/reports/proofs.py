"""docs/proofs.json: what the tests of this project showed, of which system or pair, and in which tests.

`pytest --write-proofs` writes it from tests that passed (tests/support/proven.py); the page docs/SYSTEMS.md is made
of it alone (cli/systems_page.py). Nothing here runs a test.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tieout.model.errors import ConfigurationFault

#: What can be shown, in the order of the page: the word of a mark -> its heading.
SCENARIOS = {
    "connector": "connector",
    "quote_to_cash": "quote to cash",
    "credit_sync": "credit",
    "product_sync": "products and prices",
    "returns": "returns",
    "reconciliation": "reconciliation",
    "backfill": "backfill of periods",
    "webhooks": "webhooks",
    "crash": "crashes",
}
#: Characters of a proof in words: it is one line of a page.
MOST_WORDS = 100


@dataclass(frozen=True, slots=True, order=True)
class Proof:
    """One thing that was shown, by all of `tests` together.

    Attributes:
        subject: (system,), or (crm, ledger).
        scenario: a word of SCENARIOS.
        words: what was shown, in plain words.
        ties_out: it ended in a tie-out of both systems with nothing unexplained, to 0.00.
        tests: pytest's ids, sorted.
    """

    subject: tuple[str, ...]
    scenario: str
    words: str
    ties_out: bool = False
    tests: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.scenario not in SCENARIOS:
            raise ValueError(f"scenario: expected one of {', '.join(SCENARIOS)}, found {self.scenario!r}")
        if not 0 < len(self.words) <= MOST_WORDS:
            raise ValueError(f"what is proven: expected 1 to {MOST_WORDS} characters, found {len(self.words)}")
        if len(self.subject) not in (1, 2):
            raise ValueError(f"expected a system, or a CRM and a ledger, found {self.subject}")
        if self.ties_out and len(self.subject) == 1:
            raise ValueError(f"only a pair ties out, not {self.subject[0]} by itself")

    @property
    def key(self) -> tuple[tuple[str, ...], str, str]:
        """What makes it this proof and no other."""
        return self.subject, self.scenario, self.words


def path_of(project: Path) -> Path:
    """Where a checkout keeps its proofs."""
    return project / "docs" / "proofs.json"


def read(path: Path) -> tuple[Proof, ...]:
    """The proofs, sorted; none where there is no file.

    Raises:
        ConfigurationFault: the file holds something else.
    """
    if not path.is_file():
        return ()
    try:
        return tuple(sorted(proof(one) for one in json.loads(path.read_text(encoding="utf-8"))))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationFault(f"{path}: {error}; write it anew with `make proofs`") from error


def write(path: Path, proofs: Iterable[Proof]) -> None:
    """The whole file, in one step; the same proofs are the same bytes."""
    text = json.dumps([plain(one) for one in sorted(proofs)], ensure_ascii=False, indent=1) + "\n"
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def plain(proof: Proof) -> dict[str, Any]:
    """As it stands in the file: `system` or `pair`, and `ties_out` where it does."""
    whose = {"system": proof.subject[0]} if len(proof.subject) == 1 else {"pair": list(proof.subject)}
    said = {"ties_out": True} if proof.ties_out else {}
    return {**whose, "scenario": proof.scenario, "proof": proof.words, **said, "tests": list(proof.tests)}


def proof(given: dict[str, Any]) -> Proof:
    """A proof as `plain` gives it. Raises ValueError, KeyError or TypeError for anything else."""
    subject = (given["system"],) if "system" in given else tuple(given["pair"])
    ties_out = given.get("ties_out", False)
    return Proof(subject, given["scenario"], given["proof"], ties_out, tuple(sorted(given["tests"])))
