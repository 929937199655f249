"""The model card: what the model is, what it learned from, how good it is, how to use it, what it is not for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from camoe.bundle.manifest import Manifest
from camoe.contracts.heads import HeadSet
from camoe.metrics.platt import Platt
from camoe.metrics.table import MODEL, MODEL_RAW
from camoe.model.spec import ModelSpec

LOADING = """\
## How to load it
```python
import camoe

model = camoe.load("path/of/this/folder")  # needs neither Spark nor torch; every file is checked against its hash
predictions = model.predict(table)  # an Arrow table with `slot` and the encoded columns of the training table
predictions = model.predict(model.encode(raw))  # or with `slot` and each feature's raw value, under its name
```
Each prediction has `p_raw`, of the head that serves the slot, and `p`, the calibrated one: price with `p`.
"""
FILES = """\
## Files
- `manifest.json`: versions and hashes that say where the model comes from, and the SHA-256 of every other file
- `model.json`: architecture, features, heads, slots; `weights.safetensors`: the weights, float32
- `head-<head>.onnx`: one graph a head, from indices, raw numerics and packed sequences to `p_raw`; the embedding
  table is external data of each, in `weights.safetensors`
- `config.json`: the whole configuration of the training
- `calibration.json`: slope and intercept of each head on the logit
- `encoder/`: the vocabularies that turn values into indices
- `metrics.json`: every epoch, and the validation days by head and slot, of which this card shows a part
"""
LIMITS = """\
## Limits
- Made for ranking and pricing impressions of the slots above; other slots are refused.
- The validation days chose the epoch and fitted the calibration, so the results above are optimistic: the report on
  the test days is the fair one.
- The calibration is one of each head as a whole: read ECE by slot before pricing in a slot, and train again when the
  report of later days shows that predicted and observed rates have drifted apart.
- A value that the vocabularies lack reads as unknown.
"""
# With fewer positives than this on the validation days a slot's results are mostly noise, and the card says so.
FEW_POSITIVES = 100


def model_card(
    manifest: Manifest, spec: ModelSpec, metrics: Mapping[str, Any], calibration: Mapping[str, Platt]
) -> str:
    """Return the card as Markdown; `metrics` is the bundle's metrics.json, of which it reads `parameters`, `data`,
    `learning`, `refit`, `validation` and `cut_from`."""
    several = f"{spec.members} models whose logits are averaged, each a " if spec.members > 1 else ""
    title = (
        f"# Model {manifest.model_version}\n\n{several}{spec.model.summary} and {len(spec.heads.heads)} heads, "
        f"{metrics['parameters']:,} parameters, written by camoe {manifest.code_version}.\n"
    )
    if "cut_from" in metrics:
        title += (
            f"\nCut from model {metrics['cut_from']} and not trained since: what is said of training is said of that.\n"
        )
    rows, refit = metrics["validation"], bool(metrics["refit"])
    data = _data(manifest, metrics["data"], refit) + _left_out(spec)
    parts = (title, _heads(spec), data, _results(rows, spec.heads))
    limits = "".join(f"- {limit}\n" for limit in _limits(metrics["learning"], rows, calibration, refit))
    return "\n".join((*parts, _calibration(calibration), LOADING, FILES, LIMITS + limits))


def _heads(spec: ModelSpec) -> str:
    heads, lines = spec.heads, ["## Heads"]
    for head in heads.heads:
        rules = "; ".join(f"{name} {', '.join(values)}" for name, values in head.where.items()) or "every slot"
        lines.append(f"- {head.name}: objective {head.objective}, over {rules}; weight {head.weight:g} in the loss")
    if heads.column is not None:
        lines.append(f"- {heads.column} is a column of the row; a head that names none of its values takes all others")
    for number, by_head in enumerate(spec.kept_experts, 1):
        kept = ", ".join(f"{head.name} {len(of)}" for head, of in zip(heads.heads, by_head, strict=True))
        lines.append(f"- Experts that are served{f' of model {number}' if spec.members > 1 else ''}: {kept}")
    return "\n".join(lines) + "\n"


def _data(manifest: Manifest, data: Mapping[str, Any], refit: bool) -> str:
    train, validation = data["train_days"], data["validation_days"]
    return (
        "## Data\n"
        f"- Table {manifest.table}, version {manifest.table_version}, file list {manifest.snapshot_hash}\n"
        f"- Training days {train[0]} to {train[-1]}: {data['train_rows']:,} impressions\n"
        f"- Validation days {validation[0]} to {validation[-1]}: {data['validation_rows']:,} impressions"
        f"{', from which these weights learned, too' if refit else ''}\n"
        f"- Labels as known at {data['labels_as_of']}{_late(data['labels_late'])}\n"
        f"- Feature schema {manifest.feature_schema_hash}, encoder version {manifest.encoder_version}\n"
    )


def _left_out(spec: ModelSpec) -> str:
    names = spec.features.without
    return f"- Left out of the table's features: {', '.join(names)}\n" if names else ""


def _late(days: Sequence[str]) -> str:
    return f", later than training could have run for the test days: {', '.join(days)}" if days else ""


def _results(rows: list[Mapping[str, Any]], heads: HeadSet) -> str:
    """Return one line a head and a slot of it: the calibrated model, with NE and ECE before calibration beside it."""
    raw = {(row["head"], row["group_kind"], row["group"]): row for row in rows if row["predictor"] == MODEL_RAW}
    positives = "clicks" if heads.objectives == ("click",) else "positives"
    lines = [
        "## Results on the validation days",
        "With 95 % intervals over users. NE below 1 is better than knowing the rate of positives.",
        "ECE is the calibration error, its floor what noise alone would show; raw is before calibration.",
        "",
        f"| head | slot | impressions | {positives} | AUC-PR | NE | NE raw | ECE | ECE raw | ECE floor |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in (row for row in rows if row["predictor"] == MODEL):
        before = raw[row["head"], row["group_kind"], row["group"]]
        cells = (
            row["head"],
            row["group"] if row["group_kind"] == "slot" else "all",
            f"{row['impressions']:,}",
            f"{row['clicks']:,}",
            _with_interval(row["auc_pr"], row["auc_pr_interval"]),
            _with_interval(row["ne"], row["ne_interval"]),
            *(_number(value) for value in (before["ne"], row["ece"], before["ece"], row["ece_floor"])),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _calibration(by_head: Mapping[str, Platt]) -> str:
    lines = ["## Calibration", "`p = sigmoid(slope * logit(p_raw) + intercept)`, fitted on the validation days.", ""]
    for head, platt in by_head.items():
        fitted = f"slope {platt.slope:.4f}, intercept {platt.intercept:.4f}"
        what = fitted if platt.reason is None else f"none: {platt.reason}"
        lines.append(f"- {head}: {what} ({platt.rows:,} labelled rows, {platt.positives:,} positive)")
    return "\n".join(lines) + "\n"


def _limits(
    learning: Mapping[str, Any], rows: list[Mapping[str, Any]], calibration: Mapping[str, Platt], refit: bool
) -> Iterator[str]:
    """Yield what this model, and not every one, is limited by."""
    if refit:
        yield (
            "The weights are of a refit on training and validation days (training.refit): the results above, the "
            "number of steps and the calibration are those of the same training without the validation days."
        )
    if not learning["mask"]:
        yield "Every head learned from the impressions of all slots, not from its own alone (training.mask=false)."
    sampled = ", ".join(f"{head} {100 * share:g} %" for head, share in learning["negatives"].items())
    if sampled:
        yield f"Learned from a part of the negatives ({sampled}); `p_raw` is corrected for it, results are of all."
    slots = (row for row in rows if row["predictor"] == MODEL and row["group_kind"] == "slot")
    few = [f"{row['head']} in {row['group']} ({row['clicks']:,})" for row in slots if row["clicks"] < FEW_POSITIVES]
    if few:
        yield f"Fewer than {FEW_POSITIVES} positives on the validation days, so results say little: {', '.join(few)}."
    bare = [head for head, platt in calibration.items() if platt.reason is not None]
    if bare:
        yield f"Without calibration in any slot, so `p` is `p_raw`, maybe far from observed rates: {', '.join(bare)}."


def _with_interval(value: float | None, interval: Mapping[str, float] | None) -> str:
    ends = f" ({interval['low']:.4f} to {interval['high']:.4f})" if interval else ""
    return _number(value) + ends


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
