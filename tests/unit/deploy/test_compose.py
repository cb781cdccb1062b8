"""The compose file, the image and .env.example against each other and against what the tests really run.

There is no container engine here: what cannot be read from the files is not proved.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tieout.orchestration.demo.environment import AIRFLOW_OPTIONS
from tieout.orchestration.demo.system import services

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docker-compose.yaml").read_text()
ONE_SHOT = {"initialise", "sandbox-connections"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(TEXT)
    return loaded


def test_it_follows_the_compose_specification() -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        "docker-compose.yaml",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_env_example_names_every_variable_and_no_other() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", TEXT))
    example = (ROOT / ".env.example").read_text()
    named = re.findall(r"^([A-Z_]+)=(.*)$", example, re.M)
    assert {name for name, _ in named} == used
    required = set(re.findall(r"\$\{([A-Z_]+):\?", TEXT))
    assert {name for name, value in named if not value} == required


def test_what_is_required_says_so_and_nothing_secret_has_a_default() -> None:
    for name, rest in re.findall(r"\$\{([A-Z_]+)([^}]*)\}", TEXT):
        if re.search("PASSWORD|SECRET|KEY", name):
            assert rest == f":?set {name} in .env", name
        else:
            assert rest.startswith(":-"), name


def test_each_variable_is_explained() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"^[A-Z_]+=", line):
            block = next(i for i in range(number, -1, -1) if not lines[i].strip() or i == 0)
            assert any(text.startswith("#") for text in lines[block:number]), line


def test_services_wait_for_services_that_exist_and_can_say_that_they_are_ready(compose: dict[str, Any]) -> None:
    known = compose["services"]
    for name, service in known.items():
        for other, how in (service.get("depends_on") or {}).items():
            assert other in known, f"{name} waits for {other}"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in known[other], other
            if how["condition"] == "service_completed_successfully":
                assert other in ONE_SHOT and known[other]["restart"] == "no"


def test_every_service_that_stays_has_a_health_check(compose: dict[str, Any]) -> None:
    staying = set(compose["services"]) - ONE_SHOT
    assert {name for name in staying if "healthcheck" not in compose["services"][name]} == set()


def test_volumes_are_declared_and_used(compose: dict[str, Any]) -> None:
    mounted = {v.partition(":")[0] for s in compose["services"].values() for v in s.get("volumes", [])}
    assert mounted == set(compose["volumes"])


def test_only_the_ui_is_published_and_only_to_this_machine(compose: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert list(ports) == ["api-server"]
    assert all(port.startswith("127.0.0.1:") for port in ports["api-server"])


def test_the_services_run_the_commands_that_the_demo_and_the_tests_run(compose: dict[str, Any]) -> None:
    """The demo's scheduler is also its worker, and starts warm; in the compose file the Celery worker does."""
    warm = [sys.executable, "-m", "tieout.orchestration.warm"]
    for program in services():
        command = list(program.command)
        command = ["airflow", *command[len(warm) :]] if command[: len(warm)] == warm else ["airflow", *command[1:]]
        assert compose["services"][program.name]["command"] == command
    assert compose["services"]["worker"]["command"] == ["python", *warm[1:], "celery", "worker"]


def test_python_modules_that_are_called_exist(compose: dict[str, Any]) -> None:
    called = set(re.findall(r"-m, ([\w.]+)", TEXT)) | set(re.findall(r'"-m", "([\w.]+)"', _dockerfile()))
    assert {"tieout.orchestration.initialise", "tieout.orchestration.probe", "sandbox"} <= called
    for module in called:
        assert importlib.util.find_spec(module), module


def test_airflow_commands_exist() -> None:
    """Each `airflow ...` of the compose file is one that this Airflow knows, with these options."""
    found = re.findall(r"command: \[(?:airflow|python, -m, tieout.orchestration.warm), (.*)\]", TEXT)
    commands = [["airflow", *words.split(", ")] for words in found]
    assert len(commands) == 5
    code = (
        "import sys, json; from airflow.cli.cli_parser import get_parser; "
        "[get_parser().parse_args(c[1:]) for c in json.loads(sys.argv[1])]"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_demo_and_the_compose_file_agree_on_what_matters(compose: dict[str, Any]) -> None:
    environment = compose["x-airflow"]["environment"]
    assert {name: environment.get(name) for name in AIRFLOW_OPTIONS} == AIRFLOW_OPTIONS


def test_every_airflow_option_is_one_that_airflow_has(compose: dict[str, Any]) -> None:
    """A misspelt option would be ignored in silence."""
    names = [name for name in compose["x-airflow"]["environment"] if name.startswith("AIRFLOW__")]
    names += re.findall(r"(AIRFLOW__\w+)=", _dockerfile())
    source = (ROOT / "plugins/tieout/orchestration/demo/environment.py").read_text()
    names += re.findall(r"\"(AIRFLOW__\w+__\w+)\"", source)
    code = (
        "import sys, json; from airflow.configuration import conf; import airflow.providers_manager as p; "
        "p.ProvidersManager().initialize_providers_configuration(); "
        "print(json.dumps({s: list(c['options']) for s, c in conf.configuration_description.items()}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    options = json.loads(done.stdout.strip().splitlines()[-1])
    for name in set(names):
        section, _, option = name.removeprefix("AIRFLOW__").lower().partition("__")
        assert option in options.get(section, ()), name


def test_the_image_copies_what_is_there_and_runs_as_nobody_special() -> None:
    text = _dockerfile()
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M):
        for source in sources.split():
            assert (ROOT / source).exists(), source
    assert re.findall(r"^USER (.+)$", text, re.M) == ["tieout"]
    assert "--require-hashes --compile-bytecode" in text and "HEALTHCHECK" in text
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".env", ".git", ".tieout"} <= set(ignored)


def test_env_files_are_never_committed() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().split()


def _dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()
