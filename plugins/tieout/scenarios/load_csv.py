"""CSV folders into a CRM through its API: `tieout sandbox load FOLDER`.

The profile (include/csv/<name>.yaml) says which file and column becomes which object and field; csv_plan.py reads the
files. No row is repaired by guessing and none is dropped in silence: what cannot be loaded is in the report.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tieout.model.connection import Connection
from tieout.model.errors import BooksDoNotClose, ConfigurationFault
from tieout.model.settings import PROJECT
from tieout.scenarios.crm_load import Crm, CrmRecord, Loaded, load, set_where_different
from tieout.scenarios.crm_loaders import open_crm
from tieout.scenarios.csv_plan import Plan, Refusal, plan_folder
from tieout.scenarios.csv_profile import Profile, load_profile

PROFILES = PROJECT / "include" / "csv"


@dataclass(frozen=True, slots=True)
class FileCount:
    """Rows of one file: read = loaded + refused."""

    read: int
    loaded: int
    refused: int


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of a folder.

    Attributes:
        profile: name of the profile.
        files: rows per file.
        created, unchanged: records per object; a second load creates none.
        activated: how many records were activated by this load.
        refused: one entry for each row that is not loaded, by file and line.
    """

    profile: str
    files: Mapping[str, FileCount]
    created: Mapping[str, int]
    unchanged: Mapping[str, int]
    activated: int
    refused: tuple[Refusal, ...]

    def to_json(self) -> str:
        """The report for a program."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    def table(self) -> str:
        """The report for a person: files, objects, then the refused rows grouped by file and reason."""
        lines = [f"{'file':<24}{'read':>8}{'loaded':>8}{'refused':>9}"]
        lines += [f"{name:<24}{c.read:>8}{c.loaded:>8}{c.refused:>9}" for name, c in self.files.items()]
        lines += ["", f"{'object':<24}{'created':>8}{'there':>8}"]
        lines += [f"{name:<24}{self.created[name]:>8}{self.unchanged[name]:>8}" for name in self.created]
        lines.append(f"activated: {self.activated}")
        groups = Counter((one.file, one.reason, one.remedy) for one in self.refused)
        if groups:
            lines += ["", "not loaded:"]
        for (file, reason, remedy), count in groups.items():
            numbers = [one.line for one in self.refused if (one.file, one.reason) == (file, reason)]
            first = ", ".join(str(number) for number in numbers[:8]) + (" ..." if len(numbers) > 8 else "")
            lines.append(f"  {file}: {count} x {reason} (lines {first})")
            lines.append(f"    what to do: {remedy}")
        return "\n".join(lines)


def load_folder(crm_connection: Connection, folder: Path, profile: str | Profile) -> LoadReport:
    """Brings one folder into the CRM of the connection.

    Args:
        crm_connection: where to; it has the fields of include/crm_setup/<system>.json.
        folder: holds the profile's files.
        profile: a name (`northwind`, `maven`) or a profile.

    Raises:
        ConfigurationFault: no such profile, it is for another CRM, or a file is not what the profile says.
        BooksDoNotClose: rows or records are unaccounted for.
        Retriable, AuthenticationFailed, PermissionDenied: from the API; loading again carries on.
    """
    chosen = profile if isinstance(profile, Profile) else load_profile(PROFILES / f"{profile}.yaml")
    if chosen.system != crm_connection.system:
        raise ConfigurationFault(
            f"profile {chosen.name!r} is for {chosen.system}; connection {crm_connection.name!r} is for "
            f"{crm_connection.system}"
        )
    plan = plan_folder(folder, chosen)
    with open_crm(crm_connection) as crm:
        return load_plan(crm, plan, chosen)


def load_plan(crm: Crm, plan: Plan, profile: Profile) -> LoadReport:
    """Loads what was planned and accounts for every row."""
    records: dict[str, list[CrmRecord]] = {}
    places: dict[str, tuple[str, int]] = {}
    parts: dict[str, str] = {}
    for step, planned in zip(profile.steps, plan.planned, strict=True):
        for one in planned:
            records.setdefault(step.object, []).append(one.record)
            places[one.record.key] = (one.file, one.line)
            if one.whole:
                parts[one.record.key] = one.whole
    loaded = load(crm, records)
    refused = {(one.file, one.line): one for one in plan.refused}
    for key, reason in loaded.refused:
        file, line = places[key]
        refused[file, line] = Refusal(file, line, "refused_by_crm", f"{key}: {reason}", "correct the row, load again")
    # An order that lost a line to the API is left as a draft: a bill without that line would be wrong.
    broken = {parts[key] for key, _ in loaded.refused if key in parts}
    activated = _activate(crm, profile, plan, loaded, broken, refused)
    report = LoadReport(
        profile=profile.name,
        files=_file_counts(plan, refused),
        created=loaded.created,
        unchanged=loaded.unchanged,
        activated=activated,
        refused=tuple(refused[place] for place in sorted(refused)),
    )
    _check(report, plan, loaded)
    return report


def _activate(
    crm: Crm,
    profile: Profile,
    plan: Plan,
    loaded: Loaded,
    broken: set[str],
    refused: dict[tuple[str, int], Refusal],
) -> int:
    count = 0
    for step, planned in zip(profile.steps, plan.planned, strict=True):
        if not step.activate:
            continue
        by_id = {
            loaded.ids[one.record.key]: one
            for one in planned
            if one.record.key in loaded.ids and one.record.key not in broken
        }
        done, failed = set_where_different(crm, step.object, by_id, step.activate)
        count += done
        for answer in failed:
            one = by_id[answer.id or ""]
            refused[one.file, one.line] = Refusal(
                one.file, one.line, "not_activated", f"{one.record.key}: {answer.error}", "mend it in the CRM"
            )
        for one in planned:
            if one.record.key in broken:
                refused[one.file, one.line] = Refusal(
                    one.file, one.line, "incomplete", f"{one.record.key}: a line was refused", "mend its lines"
                )
    return count


def _file_counts(plan: Plan, refused: Mapping[tuple[str, int], Refusal]) -> dict[str, FileCount]:
    good = {(one.file, one.line) for step in plan.planned for one in step} - refused.keys()
    loaded, bad = Counter(file for file, _ in good), Counter(file for file, _ in refused)
    return {file: FileCount(read, loaded[file], bad[file]) for file, read in plan.rows.items()}


def _check(report: LoadReport, plan: Plan, loaded: Loaded) -> None:
    for file, count in report.files.items():
        if count.read != count.loaded + count.refused:
            raise BooksDoNotClose(f"{file}: {count.read} rows read, {count.loaded} loaded, {count.refused} refused")
    planned = sum(len(step) for step in plan.planned)
    found = sum(report.created.values()) + sum(report.unchanged.values()) + len(loaded.refused)
    if planned != found:
        raise BooksDoNotClose(f"{planned} records planned, {found} accounted for")
