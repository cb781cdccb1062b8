"""What each vendor's objects have and take: names, lengths, decimals, directions. Data only; lint.py uses it.

A system's limits are LIMITS of the module of its name: object -> native field (list places as `[]`) -> its limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec

from tieout.mapping.limits.fields import Limit


def limits(system: str) -> Mapping[str, Mapping[str, Limit]] | None:
    """The system's limits; None where nothing is known of it."""
    if not system.isidentifier() or find_spec(f"{__name__}.{system}") is None:
        return None
    found: Mapping[str, Mapping[str, Limit]] = import_module(f"{__name__}.{system}").LIMITS
    return found
