"""What is read before tasks start is read once, and what is wrong with it stops nobody else."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from tieout.mapping import load
from tieout.model.settings import PROJECT, Settings
from tieout.orchestration import warm


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A project with the include/ of this one."""
    shutil.copytree(PROJECT / "include", tmp_path / "include")
    return Settings(tmp_path, tmp_path, None)


def test_a_task_reads_no_mapping_of_a_link_again(settings: Settings) -> None:
    warm.read_links(settings)
    read = load._load_mapping.cache_info().misses
    assert load.load_system(settings.include / "mappings", "salesforce")
    assert load.load_system(settings.include / "mappings", "xero")
    assert load._load_mapping.cache_info().misses == read


def test_a_mapping_that_changed_is_read_again(settings: Settings) -> None:
    warm.read_links(settings)
    file = settings.include / "mappings" / "xero" / "invoice.yaml"
    file.write_text(file.read_text().replace("entity: invoice", "entity: nothing"))
    with pytest.raises(load.ConfigurationFault, match="expected entity 'invoice'"):
        load.load_system(settings.include / "mappings", "xero")


def test_a_fault_of_one_system_is_told_and_keeps_no_other_from_being_read(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    (settings.include / "mappings" / "salesforce" / "account.yaml").write_text("entity: [")
    with caplog.at_level(logging.ERROR):
        warm.read_links(settings)
    assert "salesforce is not read before its tasks: include/mappings/salesforce/account.yaml:1: not YAML" in (
        caplog.text
    )
    read = load._load_mapping.cache_info().misses
    assert load.load_system(settings.include / "mappings", "xero")
    assert load._load_mapping.cache_info().misses == read
