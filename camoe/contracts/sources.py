"""The source mapping: paths of the raw tables, and the meaning of their columns as Spark SQL expressions."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from camoe.contracts.config_file import Section, address_or_path
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
    """A raw table."""

    path: Annotated[str, BeforeValidator(address_or_path)]
    """File or folder under `input`, or an address of its own, `s3://bucket/path`. A `{day}` in the path of impressions
    or outcomes stands for a day (ISO date): a run reads those that it needs."""
    format: Literal["parquet", "csv", "json", "delta"] = "parquet"
    """Format of its files."""
    options: dict[str, str] = Field(default_factory=dict)
    """Options of Spark's reader, for example `{header: "true"}`; those that lose or misread rows are refused."""
    columns: dict[SafeName, str]
    """Spark SQL expression over the raw columns, by our name of the column."""

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
            raise ValueError(f"{DAY} stands for folders of files; a Delta table is one folder: give its day_column")
        return self


class Log(Table):
    """A raw table of what happened, which may be kept by day."""

    day_column: str | None = None
    """Partition column of a Delta table that says on which day a row lies, as a `{day}` in the path of files does: a
    run reads the days that it needs. Null is none."""

    @property
    def by_day(self) -> bool:
        """True where a run reads its own days alone."""
        return DAY in self.path or self.day_column is not None

    @model_validator(mode="after")
    def _one_way_to_a_day(self) -> Log:
        if self.day_column is not None and self.format != "delta":
            raise ValueError(f"day_column is for Delta tables; of files {DAY} in the path says the day")
        return self


class Exclusion(Section):
    """Impressions left out by declaration, and counted."""

    name: SafeName
    """Name under which they are counted."""
    where: str
    """Spark SQL predicate over the mapped columns."""


class Impressions(Log):
    """The impression log: it maps `impression_id`, `user_id`, `campaign_id`, `slot` and `ts`.

    Rows of one id that agree in `payload` are duplicates, of which one is kept: one of the earliest day, and of the
    rows of one day with the fewest faults the first by `survivor`. Rows of an id that disagree with others of their day
    or of an earlier one are in conflict.
    """

    labels: dict[SafeName, str] = Field(default_factory=dict)
    """Spark SQL expression over the raw columns, by objective, where the log itself carries the label."""
    weight: str | None = None
    """Spark SQL expression over the raw columns: how many impressions a row stands for, a whole number from 1 to
    10,000. Each becomes a row of its own, with its number behind the id; without an expression a row is one."""
    aggregated: bool = False
    """Whether a label says how many of the `weight` impressions have it; else it is that of each of them."""
    payload: tuple[str, ...] | None = None
    """Mapped columns and labels in which duplicates agree; null is all of them."""
    survivor: tuple[str, ...] = ()
    """Spark SQL expressions over the mapped columns, ascending, nulls first: which duplicate of a day is kept."""
    repeats_days: int | None = Field(default=None, ge=0)
    """Days before its own against which a row is held; null is 1 where the log is by day, else all."""
    exclude: tuple[Exclusion, ...] = ()
    """Impressions left out by declaration."""

    @model_validator(mode="after")
    def _complete(self) -> Impressions:
        _require("impressions", self.columns, IMPRESSION_COLUMNS)
        if self.aggregated and self.weight is None:
            raise ValueError("aggregated rows need a weight: the number of impressions that each stands for")
        return self

    @property
    def reach_days(self) -> int | None:
        """Days before its own that a row is held against; None without a limit."""
        return 1 if self.repeats_days is None and self.by_day else self.repeats_days


class Outcomes(Log):
    """Outcome log: it maps `impression_id`, `objective`, `ts` (when it happened), and `available_at` where known."""

    day: Literal["event", "arrival"] = "event"
    """What a `{day}` in the path, or `day_column`, is: the day of `ts` (event), or that of `available_at`, on which the
    row came."""

    @model_validator(mode="after")
    def _complete(self) -> Outcomes:
        _require("outcomes", self.columns, OUTCOME_COLUMNS)
        if self.day == "arrival":
            _require("outcomes by the day of their arrival", self.columns, ("available_at",))
            if not self.by_day:
                raise ValueError(f"day: arrival says what {DAY} in the path or day_column means, and there is neither")
        return self


class Entity(Table):
    """A feature table joined to the impressions.

    With `ts` among the columns its rows are versions, joined point in time; with `available_at` a version counts
    from then on. Without `ts` there is one row a key.
    """

    key: SafeName
    """Mapped column of the impressions and of this table by which they are joined."""
    bound: Literal["<=", "<"] = "<="
    """Whether a version of the impression's own instant counts (`<=`) or not (`<`)."""
    lookback_s: int | None = Field(default=None, gt=0)
    """Greatest age of a version at the impression, in seconds (inclusive); null is any."""
    ties: tuple[SafeName, ...] = ()
    """Mapped columns, compared in turn, by which the greatest of the versions of one `ts` wins; none is available_at,
    then every other column."""
    strategy: Literal["auto", "broadcast", "intervals", "union"] = "auto"
    """Strategy of the join; `auto` leaves the choice to the job."""
    min_matched: float = Field(default=0.0, ge=0, le=1)
    """Share of the impressions that it must match; a run with less, or without any match, is not written."""

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
    """A label: positive when its outcome comes within the window after the impression."""

    window_s: int = Field(default=0, ge=0)
    """Seconds of the window."""
    report_s: int = Field(default=0, ge=0)
    """Seconds after the window has closed until the label is mature: so long may it take until an outcome is told."""
    min_share: float = Field(default=0.1, ge=0, le=1)
    """Share of the positives that the other days let expect; a run with a day below it is not written."""

    @property
    def matures_s(self) -> int:
        """Seconds after an impression at which its label is mature."""
        return self.window_s + self.report_s


class KeyedHash(Section):
    """A keyed hash in place of identifiers (HMAC-SHA-256, 32 hex digits)."""

    columns: tuple[SafeName, ...] = Field(min_length=1)
    """Mapped columns to replace in every table as it is read."""
    key_env: str = "CAMOE_HASH_KEY"
    """Environment variable that holds the key, which is never written or logged."""

    @model_validator(mode="after")
    def _identifiers(self) -> KeyedHash:
        wrong = sorted(NEVER_HASHED.intersection(self.columns))
        if wrong:
            raise ValueError(f"{wrong[0]} cannot be hashed: its values are compared and computed with")
        return self


class Sources(Section):
    """All raw tables of one lake."""

    impressions: Impressions
    """The impression log."""
    outcomes: Outcomes | None = None
    """The outcome log; null where the impressions carry all labels."""
    entities: dict[SafeName, Entity] = Field(default_factory=dict)
    """Feature tables, by the name under which the SQL of features sees them."""
    objectives: dict[SafeName, Objective]
    """Labels, by name."""
    max_quarantined: float = Field(default=0.01, ge=0, le=1)
    """Largest share of the impressions not excluded that may be quarantined."""
    max_misfiled: float = Field(default=0.01, ge=0, le=1)
    """Largest share of a log by day that may lie in the folder of another day than its own."""
    keyed_hash: KeyedHash | None = None
    """Identifiers that are hashed as they are read; null is none."""

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
        if self.impressions.weight is not None and self.outcomes is not None:
            raise ValueError("a weight makes several rows of one id, which no outcomes table knows; map labels instead")
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
