"""Which systems there are: every folder of connectors/ that has a form. Imports no connector.

A new system is a new folder with `form.py` (its FORM), `system.py` (its SYSTEM) and whatever those two need; nothing
else has to name it.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
#: How the Airflow connection type of a system begins.
PREFIX = "tieout_"


@cache
def names() -> tuple[str, ...]:
    """The systems by name, in alphabetical order."""
    packages = (module.name for module in pkgutil.iter_modules([str(_HERE)]) if module.ispkg)
    return tuple(sorted(name for name in packages if (_HERE / name / "form.py").is_file()))


def form_of(name: str) -> dict[str, Any]:
    """The form of a system's connection (forms.py)."""
    found: dict[str, Any] = import_module(f"tieout.connectors.{name}.form").FORM
    return found


def label(name: str) -> str:
    """The system's name as people know it; an unknown one as it is."""
    return str(form_of(name)["label"]) if name in names() else name


def connection_types() -> dict[str, str]:
    """Airflow's connection type -> the system."""
    return {f"{PREFIX}{name}": name for name in names()}
