"""The plan of a feature run: its days, its input, the settings that decide its rows, and where it writes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from camoe.config.pipeline import Config
from camoe.contracts.built.definitions import definitions
from camoe.contracts.days import Days, day_list, in_zone
from camoe.contracts.errors import ConfigError
from camoe.contracts.features import FeatureSet
from camoe.contracts.layout import Layout
from camoe.contracts.runs import EntityState, RunError, RunRecord, read_record
from camoe.contracts.schema import (
    FEATURE_SCHEMA_PROPERTY,
    FEATURES_PROPERTY,
    PARTS_PROPERTY,
    SETTINGS_PROPERTY,
    SLOTS_PROPERTY,
)
from camoe.contracts.slots import SlotCatalogue
from camoe.contracts.sources import Sources
from features.delta.commit import CommitMetadata, has_committed
from features.read.copies import kept
from features.read.listing import as_listed
from features.read.objects import address_of, addressed, copy_of, with_copies
from features.read.window import DayWindow
from features.settings import history_folder, settings_hash, settings_parts
from features.tables.training import TrainingTable

JOB = "build_features"
JUST_AFTER = timedelta(microseconds=1)


@dataclass(frozen=True)
class Plan:
    """One run. `started` orders runs; `asked` are the days that were asked for, `window.days` all that it builds.

    `accept` is the reason to write what lies under a floor; empty where nothing is to be accepted. One that
    `keeps_encoder` fits nothing: so what it builds does not rest on which days are built already. `added` are the
    features that it adds to days that are built, in place of building them.
    """

    run_id: str
    started: datetime
    folder: Path
    layout: Layout
    sources: Sources
    slots: SlotCatalogue
    days: Days
    features: FeatureSet
    window: DayWindow
    asked: tuple[date, ...]
    config_hash: str
    rows_per_file: int
    bytes_per_file: int
    replace: bool = False
    cascade: bool = False
    accept: str = ""
    keeps_encoder: bool = False
    added: tuple[str, ...] = ()

    @property
    def training_days(self) -> tuple[date, ...]:
        """The run's days that are training days."""
        return tuple(day for day in self.window.days if day in self.days.train.days())

    @property
    def training_range(self) -> tuple[date, date]:
        """The first and the last training day."""
        return self.days.train.first, self.days.train.last

    @property
    def settings_hash(self) -> str:
        """Hash of the settings that decide the rows of a day, given its input."""
        return settings_hash(self.sources, self.features, self.window.zone)

    @property
    def history(self) -> Path:
        """The folder of its history."""
        return history_folder(self.layout, self.sources, self.features, self.window.zone)

    @property
    def target(self) -> TrainingTable:
        """The training table with the properties that say what its rows are."""
        made = training_table(
            self.layout, self.sources, self.slots, self.features, self.window.zone, replace=self.replace
        )
        return replace(made, added=self.added)

    @property
    def logs(self) -> tuple[str, ...]:
        """Paths of the impressions that the run reads, in the input folder."""
        paths = dict.fromkeys(self.sources.impressions.path_on(day) for day in self.window.days)
        return tuple(address_of(Path(path)) or path for path in paths)

    @property
    def input(self) -> str:
        """The folder of the raw lake, or its address."""
        return address_of(self.folder) or str(self.folder.resolve())

    def here(self, place: Path) -> Path:
        """Return the path that stands for what lies at an address, or a local path as it is."""
        return copy_of(str(place), self._copies)

    def copies(self, *others: Path) -> AbstractContextManager[None]:
        """Keep copies of what the run reads in an object store, `others` among it, while the block runs; see `kept`."""
        tables = (self.sources.impressions, self.sources.outcomes, *self.sources.entities.values())
        places = [self.folder, *(Path(table.path) for table in tables if table is not None)]
        places += map(self.here, others)
        remote = any(address_of(place) for place in places)
        return kept(self._copies) if remote else nullcontext()

    def addressed(self, text: str) -> str:
        """Return a message with addresses in the place of the paths that stand for them."""
        return addressed(text, self._copies)

    @property
    def _copies(self) -> Path:
        return as_listed(self.layout.copies / self.run_id)

    def after(self, earlier: Iterable[RunRecord]) -> Plan:
        """Return the run as one that started after the `earlier` ones did, also where a clock was set back since."""
        return replace(self, started=max([self.started, *(one.built + JUST_AFTER for one in earlier)]))

    def on(self, days: Sequence[date]) -> Plan:
        """Return the run with `days` to build in place of its own."""
        return replace(self, window=replace(self.window, days=tuple(days)))

    def signature(self, input_versions: Mapping[str, str]) -> CommitMetadata:
        """Return the metadata by which the run's commits name it."""
        return CommitMetadata(self.run_id, self.config_hash, self.input, dict(input_versions))

    def record(
        self,
        entities: Mapping[str, EntityState],
        encoder_version: int = 0,
        rows: Mapping[tuple[date, str], int] | None = None,
        input_versions: Mapping[str, str] | None = None,
    ) -> RunRecord:
        """Return the run's record: the entities' states that it saw, the encoder it used, its rows by (day, slot)."""
        days: dict[date, dict[str, int]] = {day: {} for day in self.window.days}
        for (day, slot), count in (rows or {}).items():
            days[day][slot] = count
        return RunRecord(
            run_id=self.run_id,
            built=self.started,
            settings_hash=self.settings_hash,
            input=self.input,
            logs=self.logs,
            input_versions=input_versions or {},
            as_of=self.window.as_of,
            label_as_of={day: self.window.label_as_of(day) for day in days},
            encoder_version=encoder_version,
            asked=self.asked,
            days=days,
            entities=entities,
            features=definitions(self.features),
            history="" if self.features.history is None else self.history.name,
        )


def training_table(
    layout: Layout, sources: Sources, slots: SlotCatalogue, features: FeatureSet, zone: str, *, replace: bool
) -> TrainingTable:
    """Return the training table that runs of these settings build. Raises as `settings_hash` does."""
    properties = {
        FEATURE_SCHEMA_PROPERTY: features.schema_hash(),
        SLOTS_PROPERTY: slots.listing(),
        SETTINGS_PROPERTY: settings_hash(sources, features, zone),
        FEATURES_PROPERTY: json.dumps(definitions(features)),
        PARTS_PROPERTY: json.dumps(settings_parts(sources, zone)),
    }
    return TrainingTable(layout.table, properties, slots, tuple(sources.objectives), replace)


def plan_for(config: Config, asked: Sequence[date], as_of: datetime | None = None, run_id: str | None = None) -> Plan:
    """Return the run of `config` on the days `asked`, under a new name unless `run_id` is one.

    Raises:
        ConfigError: as `window_of` does.
    """
    now = datetime.now(UTC)
    name = run_id or new_run_id(now)
    copies = as_listed(config.layout.copies / name)
    return Plan(
        run_id=name,
        started=now,
        folder=copy_of(config.raw, copies),
        layout=config.layout,
        sources=with_copies(config.sources, copies),
        slots=config.slots,
        days=config.days,
        features=config.features,
        window=window_of(config.days, config.sources, asked, as_of, now),
        asked=tuple(asked),
        config_hash=config.content_hash(),
        rows_per_file=config.rows_per_file,
        bytes_per_file=config.bytes_per_file,
    )


def window_of(
    days: Days, sources: Sources, asked: Sequence[date], as_of: datetime | None, started: datetime
) -> DayWindow:
    """Return the run's days and as-of time, in UTC.

    The default is the moment when the windows of the last day have closed, at most `started`: that an outcome has not
    happened yet does not say that it never will.

    Raises:
        ConfigError: the given as-of time lies after `started`.
    """
    told = as_of or days.as_of
    if told is None:
        moment = min(days.known_at(sources.longest_maturity_s, max(asked)), started)
    else:
        moment = in_zone(told, days.zone)
        # Not compared as they are: aware times of a repeated hour differ from every time of another zone.
        if moment.astimezone(UTC) > started.astimezone(UTC):
            raise ConfigError(
                f"as-of time {moment.isoformat()} has not come yet (the run started at {started.isoformat()}), and "
                "labels whose windows are open would be taken for 0; give an earlier --as-of or days.as_of, or none"
            )
    return DayWindow(days.zone, tuple(sorted(asked)), moment.astimezone(UTC), days.label_cuts())


def new_run_id(now: datetime) -> str:
    """Make a name that no other run has; names sort by time: 20260308T071500Z-9f3a61c2."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def finished(plan: Plan) -> RunRecord | None:
    """Return the record of an earlier attempt of this run that has committed, None when there is none.

    Raises:
        RunError: the run id belongs to a run of other days, another as-of time or other settings, or the record of a
            committed run is missing.
    """
    committed = has_committed(plan.layout.table, plan.run_id)
    path = plan.layout.runs / f"{plan.run_id}.json"
    if not path.exists():
        if committed:
            raise RunError(
                f"run {plan.run_id} has committed to {plan.layout.table}, but its record {path} is missing; "
                "restore it, or build its days again under another --run-id"
            )
        return None
    earlier = read_record(plan.layout.runs, plan.run_id)
    for what, then, now in (
        ("days", day_list(earlier.asked), day_list(plan.asked)),
        ("columns", _listed(earlier.features if earlier.kept else ()), _listed(plan.added)),
        # Columns that are added rest on what was known when their days were built.
        *([] if plan.added else [("as-of time", _told_as_of(earlier, plan), plan.window.as_of.astimezone(UTC))]),
        ("settings", earlier.settings_hash, plan.settings_hash),
        ("input", earlier.input, plan.input),
    ):
        if then != now:
            raise RunError(
                f"run {plan.run_id} was for other {what} ({then}, now {now}); "
                "leave out --run-id, or give the run its own"
            )
    return earlier if committed else None


def _told_as_of(earlier: RunRecord, plan: Plan) -> datetime:
    """Return the as-of time that a retry must have: the record's.

    When that is the earlier attempt's own start, none was given: then that of the retry, which starts later.
    """
    then, now = earlier.as_of.astimezone(UTC), plan.window.as_of.astimezone(UTC)
    return max(then, now) if earlier.as_of == earlier.built else then


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none added"
