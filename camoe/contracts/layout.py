"""Paths of a run's outputs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from camoe.contracts.files import RemotePath, cache_folder

# Spark takes them as they are; delta-rs decodes them, takes them for separators, or does not start.
MISREAD = re.compile(r"[\[\]|^\\%`\x00-\x1f\x7f\ud800-\udfff]")

# The folder of a lake in which copies lie; below a run's folder in it, a path is the address of an object.
COPIES = "copied-from-s3"


def lease_of(copies: Path) -> Path:
    """Return the lease of the run to which a folder of copies belongs."""
    return copies.with_name(f".{copies.name}.lease")


def misread_character(path: Path) -> str | None:
    """Return a character of the path that Delta's two writers, Spark and delta-rs, read differently; else None."""
    found = MISREAD.search(str(path.absolute()))
    return ascii(found[0]) if found else None


@dataclass(frozen=True)
class Layout:
    """Paths under one output folder, `root`; the lake, what features are built from and into, may lie elsewhere.

    So several runs share one training table, each with checkpoints, a bundle and predictions of its own. Both may lie
    in an object store; the training table may lie at an `address` of its own there, and what goes with it in the lake
    all the same. What never lies in a store is in `given_work`, or in a place that follows from `root`.
    """

    root: Path
    elsewhere: Path | None = None
    address: str | None = None
    given_work: Path | None = None

    @property
    def lake(self) -> Path:
        """Folder of raw lake, training table and what belongs to it."""
        return self.elsewhere or self.root

    @property
    def work(self) -> Path:
        """Folder on a disk of what never lies in a store."""
        beside = (
            cache_folder().joinpath("work", *self.root.parts[1:]) if isinstance(self.root, RemotePath) else self.root
        )
        return self.given_work or beside

    @property
    def leases(self) -> Path:
        """Folder of the leases of jobs that write below `root`."""
        return self.root / "runs"

    @property
    def raw(self) -> Path:
        """The synthetic raw lake."""
        return self.lake / "raw"

    @property
    def copies(self) -> Path:
        """Copies of raw files in an object store: a folder for each run, which goes with it."""
        on_disk = self.given_work is None and not isinstance(self.lake, RemotePath)
        return (self.lake if on_disk else self.work) / COPIES

    @property
    def truth(self) -> Path:
        """True probabilities of a synthetic lake (parquet: impression_id, objective, p); never read by features."""
        return self.lake / "truth"

    @property
    def has_truth(self) -> bool:
        """Return whether there are true probabilities, on a disk: they are looked for nowhere else."""
        return not isinstance(self.truth, RemotePath) and self.truth.is_dir()

    @property
    def market(self) -> Path:
        """A synthetic market: `requests`, `candidates` and `campaigns` (parquet), and predictions of candidates."""
        return self.root / "market"

    @property
    def market_truth(self) -> Path:
        """True probabilities of a synthetic market's candidates (parquet); never read by features."""
        return self.root / "market_truth"

    @property
    def candidate_predictions(self) -> Path:
        """Delta table of the predictions of candidates that had no outcome."""
        return self.root / "candidate_predictions"

    @property
    def market_report(self) -> Path:
        """Folder of the simulation's index.html and market.json."""
        return self.root / "market_report"

    @property
    def training(self) -> Path:
        """Delta training table of the lake; there is none where it lies at an address."""
        return self.lake / "training"

    @property
    def table(self) -> Path | str:
        """Delta training table that features are built into, in the lake or at an address."""
        return self.address or self.training

    @property
    def quarantine(self) -> Path:
        """Delta table of rejected impressions."""
        return self.lake / "quarantine"

    @property
    def profiles(self) -> Path:
        """Delta table of the counts of each feature's values, by day and run."""
        return self.lake / "profiles"

    @property
    def history(self) -> Path:
        """Events and day states of the history, a folder for each hash of the settings."""
        return self.lake / "history"

    @property
    def runs(self) -> Path:
        """One JSON record a feature run."""
        return self.lake / "runs"

    @property
    def pins(self) -> Path:
        """One JSON file for each pinned table version that VACUUM must spare."""
        return self.lake / "pins"

    @property
    def predictions(self) -> Path:
        """Delta predictions table."""
        return self.root / "predictions"

    @property
    def drift(self) -> Path:
        """One JSON file for each model that scored: how the days differed from those that it was validated on."""
        return self.root / "drift"

    @property
    def states(self) -> Path:
        """Delta table of the sums that evaluations keep, by model, day and group."""
        return self.root / "states"

    @property
    def encoder(self) -> Path:
        """Versions of the encoder."""
        return self.lake / "encoder"

    @property
    def bundle(self) -> Path:
        """The model bundle."""
        return self.root / "bundle"

    @property
    def models(self) -> Path:
        """The registry of models, and its copies of their bundles."""
        return self.lake / "models"

    @property
    def checkpoints(self) -> Path:
        """Places from which the training run under way can go on."""
        return self.root / "checkpoints"

    @property
    def report(self) -> Path:
        """Folder of index.html and metrics.json."""
        return self.root / "report"

    @property
    def feature_report(self) -> Path:
        """Folder of the feature job's index.html and features.json."""
        return self.lake / "feature_report"

    @property
    def counts(self) -> Path:
        """Every stage's rows."""
        return self.root / "counts.json"

    @property
    def logs(self) -> Path:
        """Log files of the stages, and the workers' signs of life."""
        return self.work / "logs"
