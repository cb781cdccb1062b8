"""Real data and vendors' specifications that stay out of the project; tests skip where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("TIEOUT_SHARED", Path(__file__).resolve().parents[3] / "shared"))


def require_shared(*parts: str) -> Path:
    """The file or folder below the shared folder; skips the test, and says so, where it is not there."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs {'/'.join(parts)} in the shared folder beside the project (set TIEOUT_SHARED)")
    return path
