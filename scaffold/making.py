"""Which file of the template goes where under which name, and what is refused. Writes all of it or nothing."""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TEMPLATE = Path(__file__).parent
ROLES = ("ledger", "crm")
LONGEST = 24  # characters of a name and of a label: lines stay in their length, tables in PostgreSQL's
#: Folder of the template -> where its files go.
FOLDERS = {
    "connector": "plugins/tieout/connectors/{name}",
    "sandbox": "sandbox/{name}",
    "mappings": "include/mappings/{name}",
    "expectations": "expectations/{name}",
}
FILES = {
    "files/limits.py": "plugins/tieout/mapping/limits/{name}.py",
    "files/vendor.py": "tests/connectors/vendor_{name}.py",
    "files/proof.py": "tests/proofs/first/test_{name}.py",
    "files/link.yaml": "tests/proofs/first/{pair}.yaml",
}
#: What shares a name with a system would be taken for it, or hide it.
TAKEN = ("plugins/tieout/connectors/{name}.py", "sandbox/{name}.py", "include/links/{pair}.yaml")
#: What stands in the template for a name, for the name of a class, for what people call it.
PLACEHOLDERS = ("newsystem", "NewSystem", "New System")
_MODULE = re.compile(r"scaffold\.(?:both|ledger|crm)\.(connector|sandbox)\b")
_PACKAGES = {"connector": "tieout.connectors.{name}", "sandbox": "sandbox.{name}"}
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9 /&().-]{0,23}")


class Refused(Exception):
    """The system cannot be made; nothing was written. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Naming:
    """The names of a new system: `acme_books`, `Acme Books`."""

    name: str
    role: str
    label: str

    @property
    def class_name(self) -> str:
        """`AcmeBooks`."""
        return "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def pair(self) -> str:
        """The link that it is proven by."""
        return f"salesforce_{self.name}" if self.role == "ledger" else f"{self.name}_xero"

    def place(self, pattern: str) -> str:
        """A path of FOLDERS, FILES or TAKEN."""
        return pattern.format(name=self.name, pair=self.pair)

    def named(self, text: str) -> str:
        """The template's text with the names in it."""
        text = _MODULE.sub(lambda found: _PACKAGES[found[1]].format(name=self.name), text)
        for placeholder, value in zip(PLACEHOLDERS, (self.name, self.class_name, self.label), strict=True):
            text = text.replace(placeholder, value)
        return text


def naming(name: str, role: str, label: str = "") -> Naming:
    """Checked names. Raises Refused."""
    if role not in ROLES:
        raise Refused(f"ROLE: expected {' or '.join(ROLES)}, found {role!r}")
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or len(name) > LONGEST:
        raise Refused(
            f"NAME: expected at most {LONGEST} small letters, digits and single _ such as acme_books, found {name!r}"
        )
    label = label or " ".join(part.capitalize() for part in name.split("_"))
    if not _LABEL.fullmatch(label):
        raise Refused(f"LABEL: expected at most {LONGEST} letters, digits, blanks and /&().-, found {label!r}")
    return Naming(name, role, label)


def planned(root: Path, names: Naming) -> dict[Path, str]:
    """Every file that is made, below `root`, with its text. A role's own file goes before the one of both.

    Raises:
        Refused: something of that name is there already.
    """
    taken = [*FOLDERS.values(), *FILES.values(), *TAKEN]
    there = [place for place in map(names.place, taken) if (root / place).exists()]
    if there:
        raise Refused(f"NAME: {names.name!r} is taken: {', '.join(there)} is there already; choose another name")
    made: dict[Path, str] = {}
    for part in ("both", names.role):
        for folder, place in FOLDERS.items():
            for file in sorted((TEMPLATE / part / folder).glob("*.*")):
                made[root / names.place(place) / file.name] = names.named(file.read_text(encoding="utf-8"))
    for file_name, place in FILES.items():
        text = (TEMPLATE / names.role / file_name).read_text(encoding="utf-8")
        made[root / names.place(place)] = names.named(text)
    return made


def write(files: Mapping[Path, str]) -> None:
    """Writes the files; imports and lines are put into the order and length that other names give them.

    Raises:
        Refused: ruff is not there or cannot read what was made; what was written is taken away again.
    """
    made: list[Path] = []
    try:
        for path, text in files.items():
            made += [folder for folder in reversed(path.parents) if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                made.append(path)
                file.write(text)
        _tidied([path for path in files if path.suffix == ".py"])
    except BaseException:
        for path in reversed(made):
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        raise


def _tidied(files: list[Path]) -> None:
    for command in (["check", "--quiet", "--select", "I", "--fix"], ["format", "--quiet"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *map(str, files)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Refused(f"ruff {command[0]} failed: {(done.stderr or done.stdout).strip()[:500]}")
