"""The source mapping: paths of the raw tables, and the meaning of their columns as Spark SQL expressions."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.shown.suggestions import suggestion
from camoe.contracts.slots import SafeName

IMPRESSION_COLUMNS = ("impression_id", "user_id", "campaign_id", "slot", "ts")
OUTCOME_COLUMNS = ("impression_id", "objective", "ts")
DAY = "{day}"
# Options that would let Spark drop or misread rows without a word, and guesses of types that differ from day to day.
REFUSED_OPTIONS = frozenset(
    {
        "__globpaths__",
        "badrecordspath",
        "basepath",
        "columnnameofcorruptrecord",
        "columnpruning",
        "enforceschema",
        "ignorecorruptfiles",
        "ignoremissingfiles",
        "inferschema",
        "infertimestamp",
        "mergeschema",
        "mode",
        "recursivefilelookup",
        "samplingratio",
    }
)
# Columns whose values are compared or computed with.
NEVER_HASHED = frozenset(("ts", "available_at", "slot", "objective", "value"))


def _require(what: str, columns: dict[str, str], required: tuple[str, ...]) -> None:
    missing = [name for name in required if name not in columns]
    if missing:
        raise ValueError(f"{what} must map the columns {', '.join(missing)}")


class Table(Section):
    """A raw table: `path` under the input folder; `columns` maps our name to an expression over the raw columns.

    A `{day}` in the path of the impressions or outcomes stands for a day (ISO date): a run reads those that it needs.
    """

    path: str
    format: Literal["parquet", "csv", "json", "delta"] = "parquet"
    options: dict[str, str] = Field(default_factory=dict)
    columns: dict[SafeName, str]

    def path_on(self, day: date) -> str:
        """Return the path of the rows of `day`; the same for every day without a `{day}` in it."""
        return self.path.replace(DAY, day.isoformat())

    @model_validator(mode="after")
    def _readable(self) -> Table:
        refused = sorted(name for name in self.options if name.lower() in REFUSED_OPTIONS)
        if refused:
            raise ValueError(
                f"the option {refused[0]} is not to be set: all files of all sub-folders are read, damaged rows are "
                "kept apart, columns are found by name, and a mapped column's type is what its expression says"
            )
        if DAY in self.path and self.format == "delta":
            raise ValueError(f"{DAY} stands for folders of files; a Delta table is one folder")
        return self


class Exclusion(Section):
    """Impressions left out by declaration, and counted: `where` is a predicate over the mapped columns."""

    name: SafeName
    where: str


class Impressions(Table):
    """The impression log.

    `labels` maps an objective to an expression when the log itself carries the label. Rows of one id that agree
    in `payload` (default: every mapped column and label) are duplicates, of which one is kept: one of the earliest day,
    and of the rows of one day with the fewest faults the first by the expressions `survivor` over the mapped columns.
    Rows of an id that disagree with others of their day or of an earlier one are in conflict. A row is held against
    those of `repeats_days` days before its own; default: 1 where the path is by day, else all.
    """

    labels: dict[SafeName, str] = Field(default_factory=dict)
    payload: tuple[str, ...] | None = None
    survivor: tuple[str, ...] = ()
    repeats_days: int | None = Field(default=None, ge=0)
    exclude: tuple[Exclusion, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Impressions:
        _require("impressions", self.columns, IMPRESSION_COLUMNS)
        return self

    @property
    def reach_days(self) -> int | None:
        """Days before its own that a row is held against; None without a limit."""
        return 1 if self.repeats_days is None and DAY in self.path else self.repeats_days


class Outcomes(Table):
    """Outcome log: `impression_id`, `objective`, `ts` (when it happened), and `available_at` where it is known.

    `day` says what a `{day}` in the path is: the day of `ts` (event), or that of `available_at`, on which the row came.
    """

    day: Literal["event", "arrival"] = "event"

    @model_validator(mode="after")
    def _complete(self) -> Outcomes:
        _require("outcomes", self.columns, OUTCOME_COLUMNS)
        if self.day == "arrival":
            _require("outcomes by the day of their arrival", self.columns, ("available_at",))
            if DAY not in self.path:
                raise ValueError(f"day: arrival says what {DAY} in the path means, and the path has none")
        return self


class Entity(Table):
    """A feature table joined by `key`, a column of the impressions and of this table.

    With `ts` among the columns its rows are versions, joined point in time; with `available_at` a version counts
    from then on. Without `ts` there is one row a key.

    `bound`: whether a version of the impression's own instant counts (`<=`) or not (`<`). `lookback_s` limits a
    version's age at the impression (inclusive). Among versions of one `ts` the greatest by `ties` wins (mapped columns,
    compared in turn; default: available_at, then every other column). `strategy` overrides the choice of the join.
    A run whose impressions it matches below the share `min_matched`, or not at all, is not written.
    """

    key: SafeName
    bound: Literal["<=", "<"] = "<="
    lookback_s: int | None = Field(default=None, gt=0)
    ties: tuple[SafeName, ...] = ()
    strategy: Literal["auto", "broadcast", "intervals", "union"] = "auto"
    min_matched: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _complete(self) -> Entity:
        if DAY in self.path:
            raise ValueError(f"{DAY} is for impressions and outcomes; an entity's path is read whole")
        _require("an entity", self.columns, (self.key,))
        if "available_at" in self.columns:
            _require("an entity with available_at", self.columns, ("ts",))
        _require("the ties of an entity", self.columns, self.ties)
        return self


class Objective(Section):
    """A label: positive when its outcome comes within `window_s` seconds of the impression.

    It is mature `report_s` seconds after the window has closed: so long may it take until an outcome is told. A day
    with less than the share `min_share` of the positives that the other days let expect is not written.
    """

    window_s: int = Field(default=0, ge=0)
    report_s: int = Field(default=0, ge=0)
    min_share: float = Field(default=0.1, ge=0, le=1)

    @property
    def matures_s(self) -> int:
        """Seconds after an impression at which its label is mature."""
        return self.window_s + self.report_s


class KeyedHash(Section):
    """Mapped columns to replace by a keyed hash in every table as it is read (HMAC-SHA-256, 32 hex digits).

    The key comes from the environment variable `key_env` and is never written or logged.
    """

    columns: tuple[SafeName, ...] = Field(min_length=1)
    key_env: str = "CAMOE_HASH_KEY"

    @model_validator(mode="after")
    def _identifiers(self) -> KeyedHash:
        wrong = sorted(NEVER_HASHED.intersection(self.columns))
        if wrong:
            raise ValueError(f"{wrong[0]} cannot be hashed: its values are compared and computed with")
        return self


class Sources(Section):
    """All raw tables of one lake.

    `max_quarantined` is the largest share of the impressions not excluded that may be quarantined, `max_misfiled` that
    of a log by day that may lie in the folder of another day than its own.
    """

    impressions: Impressions
    outcomes: Outcomes | None = None
    entities: dict[SafeName, Entity] = Field(default_factory=dict)
    objectives: dict[SafeName, Objective]
    max_quarantined: float = Field(default=0.01, ge=0, le=1)
    max_misfiled: float = Field(default=0.01, ge=0, le=1)
    keyed_hash: KeyedHash | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Sources:
        for name, entity in self.entities.items():
            if entity.key not in self.impressions.columns:
                choose = suggestion(entity.key, self.impressions.columns)
                raise ValueError(f"entity '{name}' joins by '{entity.key}', which the impressions do not map; {choose}")
        tables = (self.impressions, *self.entities.values(), *((self.outcomes,) if self.outcomes else ()))
        for name in self.keyed_hash.columns if self.keyed_hash else ():
            mapped = {column for table in tables for column in table.columns}
            if name not in mapped:
                raise ValueError(f"keyed_hash names '{name}', which no table maps; {suggestion(name, mapped)}")
        for name in self.objectives:
            if name not in self.impressions.labels and self.outcomes is None:
                raise ValueError(f"objective '{name}' has neither an impression label nor an outcomes table")
        return self

    @property
    def longest_window_s(self) -> int:
        """The longest outcome window, in seconds."""
        return max((objective.window_s for objective in self.objectives.values()), default=0)

    @property
    def longest_maturity_s(self) -> int:
        """The time after which every label is mature, in seconds."""
        return max((objective.matures_s for objective in self.objectives.values()), default=0)
