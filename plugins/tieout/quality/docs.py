"""Data Docs of a run: a page for each suite that ran, by Great Expectations' own renderer, and an index.

That renderer puts values of rows into its pages unescaped, and its pages load scripts, styles and pictures from a dozen
places on the internet. A page about customers must do neither: every text is escaped before, everything that would be
loaded is taken out, and a policy in the page forbids the rest.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tieout.quality.run import SuiteResult

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'"
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1d2433 }
table { border-collapse: collapse; margin: .5rem 0 } td, th { border: 1px solid #cbd2dc; padding: .3rem .6rem;
text-align: left; vertical-align: top } .badge { background: #eef1f5; border-radius: 3px; padding: 0 .3rem }
.text-danger { color: #a5202b } .text-success { color: #17663a } nav, .cooltip, .modal, form, button { display: none }
@media (prefers-color-scheme: dark) { body { background: #161a22; color: #e3e7ee } .badge { background: #2a303c } }
"""
_SCRIPT = re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE)
_LOADED = re.compile(r"<(?:link|img|iframe|form|base|meta\s+http-equiv)\b[^>]*>", re.IGNORECASE)
_STYLES = re.compile(r"<style\b.*?</style\s*>", re.DOTALL | re.IGNORECASE)
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)


def render(results: Mapping[str, SuiteResult], folder: Path) -> Path | None:
    """Writes the pages of a run, over what was there; returns the index, None when no suite ran on any row.

    Args:
        results: a name (`salesforce_order`) -> what became of its suite.
        folder: `<home>/datadocs/<run_id>`; made when missing, closed to others.
    """
    shown = {name: result for name, result in sorted(results.items()) if result.documents}
    if not shown:
        return None
    from tieout.quality.gx import render_page

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, result in shown.items():
        page = render_page(_escaped(dict(result.documents)))
        (folder / f"{_file(name)}.html").write_text(_closed(page), encoding="utf-8")
    index = folder / "index.html"
    index.write_text(_index(shown), encoding="utf-8")
    return index


def _file(name: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "_", name.lower())


def _escaped(value: Any) -> Any:
    """Every text with its HTML escaped, and with dollar signs that the renderer would take for its parameters."""
    if isinstance(value, str):
        return html.escape(value).replace("$", "&#36;")
    if isinstance(value, Mapping):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    return value


def _closed(page: str) -> str:
    """The page without anything that is loaded or run."""
    for pattern in (_SCRIPT, _LOADED, _STYLES):
        page = pattern.sub("", page)
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}"><style>{_STYLE}</style>'
    )
    if _HEAD.search(page):
        return _HEAD.sub(lambda match: match.group(0) + head, page, count=1)
    return f"<!doctype html><html><head>{head}</head><body>{page}</body></html>"


def _index(results: Mapping[str, SuiteResult]) -> str:
    rows = "".join(
        f'<tr><td><a href="{_file(name)}.html">{html.escape(name)}</a></td><td>{result.statistics["rows"]}</td>'
        f"<td>{len(result.of('quarantine'))}</td><td>{len(result.of('warn'))}</td>"
        f"<td>{'stopped' if result.stopped else ''}</td></tr>"
        for name, result in results.items()
    )
    return _closed(
        "<h1>Checks of this run</h1><table><tr><th>Suite</th><th>Rows</th><th>Quarantined</th><th>Warnings</th>"
        f"<th></th></tr>{rows}</table>"
    )
