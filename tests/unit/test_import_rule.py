"""Who may import whom (docs/architecture.md), and what a DAG file must not bring in. Read from the source by ast."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "plugins" / "tieout"

#: A folder may import those of lower layers and itself; folders of one layer do not know each other.
LAYERS = (
    ("model",),
    ("connectors", "mapping", "quality", "store"),
    ("delivery", "reconcile", "reports"),
    ("scenarios",),
    ("web", "orchestration", "cli"),
)
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
HEAVY = {"pandas", "pyarrow", "great_expectations", "numpy"}
#: Airflow belongs to these; everywhere else a scenario must run without it.
AIRFLOW = ("plugins/tieout/orchestration/", "plugins/tieout_plugin.py")


def python_files(folder: Path) -> Iterator[Path]:
    yield from (file for file in sorted(folder.rglob("*.py")) if "__pycache__" not in file.parts)


def module_of(file: Path) -> str:
    relative = file.relative_to(ROOT / "plugins") if (ROOT / "plugins") in file.parents else file.relative_to(ROOT)
    parts = relative.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, module: str, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """(line, full name of the module) of every import below `tree`, relative ones resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = module.split(".")[: len(module.split(".")) - node.level + is_package]
                base = ".".join([*up, base] if base else up)
            yield node.lineno, base
            # `from tieout import store` imports the module tieout.store.
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names if base == "tieout")


def top_level(tree: ast.Module) -> ast.Module:
    """The statements that run at import: no function bodies, nothing under `if TYPE_CHECKING`."""
    kept = [
        node
        for node in tree.body
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    ]
    return ast.Module(body=[_without_methods(node) for node in kept], type_ignores=[])


def _without_methods(node: ast.stmt) -> ast.stmt:
    if isinstance(node, ast.ClassDef):
        body = [part for part in node.body if not isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]
        return ast.ClassDef(node.name, node.bases, node.keywords, body or [ast.Pass()], node.decorator_list)
    return node


def breaches(file: Path, text: str) -> list[str]:
    """What this file imports against the rule."""
    module = module_of(file)
    name = file.relative_to(ROOT).as_posix()
    own = module.split(".")[1] if module.startswith("tieout.") else None
    found = []
    for line, target in imports(ast.parse(text), module, file.name == "__init__.py"):
        first, _, rest = target.partition(".")
        part = rest.partition(".")[0]
        if first == "airflow" and not name.startswith(AIRFLOW):
            found.append(f"{name}:{line}: airflow is for orchestration and the plugin file alone")
        if first == "sandbox" and not name.startswith("sandbox/"):
            found.append(f"{name}:{line}: tieout and the sandbox meet at the vendors' APIs only")
        if first == "tieout" and name.startswith("sandbox/"):
            found.append(f"{name}:{line}: the sandbox knows nothing of tieout")
        if first == "tieout" and name.startswith("dags/") and part not in ("orchestration", "model"):
            found.append(f"{name}:{line}: a DAG file imports orchestration alone")
        if first == "tieout" and own in LAYER and part in LAYER and part != own and LAYER[part] >= LAYER[own]:
            found.append(f"{name}:{line}: {own} may not import {part}")
    return found


def test_every_folder_of_the_package_has_a_layer() -> None:
    folders = {file.parent.name for file in PACKAGE.glob("*/__init__.py")}
    assert folders == set(LAYER)


def test_nobody_imports_against_the_rule() -> None:
    files = [*python_files(ROOT / "plugins"), *python_files(ROOT / "sandbox"), *python_files(ROOT / "dags")]
    assert len(files) > 50
    assert [breach for file in files for breach in breaches(file, file.read_text())] == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("plugins/tieout/store/x.py", "from tieout.connectors.base import Page"),
        ("plugins/tieout/model/x.py", "def f():\n    from tieout import store"),
        ("plugins/tieout/connectors/salesforce/x.py", "from ...mapping import spec"),
        ("plugins/tieout/scenarios/x.py", "import tieout.web.app"),
        ("plugins/tieout/web/x.py", "from airflow.sdk import DAG"),
        ("plugins/tieout/cli/x.py", "from tieout.orchestration.links import link_cards"),
        ("plugins/tieout/scenarios/x.py", "import sandbox.app"),
        ("sandbox/xero/x.py", "from tieout.model.money import exponent"),
        ("dags/x.py", "from tieout.scenarios import quote_to_cash"),
    ],
)
def test_breaches_are_found(file: str, line: str) -> None:
    assert len(breaches(ROOT / file, line)) >= 1


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("plugins/tieout/scenarios/x.py", "from tieout.delivery.deliver import deliver"),
        ("plugins/tieout/orchestration/x.py", "from airflow.sdk import DAG"),
        ("plugins/tieout/connectors/xero/x.py", "from ..base import Page"),
    ],
)
def test_what_is_allowed_passes(file: str, line: str) -> None:
    assert breaches(ROOT / file, line) == []


def test_dag_files_bring_in_nothing_heavy() -> None:
    """Follows the imports that run when a DAG file is parsed, through the whole package."""
    waiting = list(python_files(ROOT / "dags"))
    seen: set[Path] = set()
    heavy = []
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        tree = top_level(ast.parse(file.read_text()))
        for line, target in imports(tree, module_of(file), file.name == "__init__.py"):
            if target.partition(".")[0] in HEAVY:
                heavy.append(f"{file.relative_to(ROOT)}:{line}: {target}")
            if target.startswith("tieout"):
                waiting.extend(_files_of(target))
    assert heavy == []
    assert len(seen) > 5


def _files_of(module: str) -> list[Path]:
    parts = module.split(".")
    packages = [ROOT.joinpath("plugins", *parts[:n], "__init__.py") for n in range(1, len(parts) + 1)]
    return [path for path in [*packages, ROOT.joinpath("plugins", *parts).with_suffix(".py")] if path.is_file()]


def test_the_dag_kit_leaves_heavy_modules_out_of_a_real_process() -> None:
    """The same by a real import of what dags import but airflow's part of it."""
    modules = "tieout.orchestration.links, tieout.orchestration.outcomes, tieout.orchestration.provider"
    code = f"import sys, {modules}; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}", "PATH": ""},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
