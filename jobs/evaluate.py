"""Measure a scored model on the test days, per slot, hold it against others, and write the report.

    spark-submit --properties-file conf/spark/local.conf jobs/evaluate.py --config conf/synthetic.yaml out=out/run1
    ... jobs/evaluate.py --against a72f14598e63,bundles/OTHER out=out/run1     better, worse or cannot tell, per slot

Reads the predictions of a model, labels of the table version they were scored from, and a synthetic lake's truth. Keeps
the sums of each group and day in states/, to be compared later. Writes report/metrics.json, index.html, summary.png.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from camoe.config.command_line import load_config, next_line, parse, parser
from camoe.config.ending import exit_with
from camoe.config.pipeline import Config
from camoe.contracts.shown.commands import job_line
from features.spark.told import told

if TYPE_CHECKING:
    from camoe.evaluation.evaluate import ScoredRun


def main(argv: list[str]) -> None:
    """Measure, check that every row is accounted for, write the report and show the table."""
    started = time.monotonic()
    options = parser(__doc__ or "")
    options.add_argument("--model", help="version, bundle folder or newest (default: champion, else newest)")
    options.add_argument("--against", default="", metavar="MODEL[,MODEL]", help="versions, folders or champion")
    arguments = parse(options, argv)
    from camoe.bundle.manifest import METRICS
    from camoe.contracts.places.counts import record
    from camoe.evaluation.document import metrics_document
    from camoe.evaluation.evaluate import evaluate
    from camoe.registry.named import named_model
    from camoe.report.write import read_json, replaced, write_report
    from camoe.train.tracking.evaluated import track_test_days
    from features.spark.failures import as_input_errors
    from features.spark.progress import step
    from features.spark.session import spark_session

    config = load_config(arguments)
    model = named_model(config.layout, arguments.model)
    others = [named_model(config.layout, name).version for name in arguments.against.split(",") if name]
    training = read_json(model.bundle / METRICS) if model.bundle else {}
    spark = spark_session("evaluate", config.layout.logs)
    wrote = "jobs/score.py: predictions, jobs/build_features.py: training, jobs/make_lake.py: truth"
    remedy = f"if a file is damaged, run the job that wrote its folder again ({wrote}) and those after it"
    with (
        step(spark.sparkContext, f"evaluate: model {model.version}"),
        as_input_errors(f"cannot evaluate {config.out}", remedy),
    ):
        run = _scored_run(config, model.version, others, arguments.config)
        evaluation = evaluate(spark, run, config.evaluation)
    record(config.layout.counts, "evaluate", evaluation.counts)
    document = metrics_document(config, evaluation, model.version, run.against, replaced(config.layout, model.version))
    written = write_report(config.layout, document, training)
    _show(document, config.heads.objectives)
    rows = f"{evaluation.counts['evaluated']:,} labelled predictions"
    print(f"evaluate: {rows} of model {model.version} in {time.monotonic() - started:.0f} s")
    print(*(f"evaluate: written to {path}" for path in written), sep="\n")
    if config.training.tracking is not None:
        print(f"evaluate: {track_test_days(config.training.tracking, document)}")
    print(next_line(f"open {config.layout.report / 'index.html'} in a browser"))


def _show(document: Mapping[str, Any], objectives: Sequence[str]) -> None:
    from camoe.contracts.shown.terminal import console
    from camoe.report.terminal import metrics_table, verdict_lines

    shown = console()
    for objective in objectives:
        shown.print(metrics_table(document, objective, shown.width))
    for line in verdict_lines(document):
        print(f"evaluate: {line}")


def _scored_run(config: Config, version: str, others: Sequence[str], config_file: str) -> ScoredRun:
    from camoe.evaluation.evaluate import ScoredRun
    from camoe.evaluation.values import field_values

    return ScoredRun(
        model_version=version,
        days=config.days,
        objectives=config.heads.objectives,
        layout=config.layout,
        table=config.training_table,
        predictions=config.predictions_table,
        truth=config.input is None and config.layout.has_truth,
        command=lambda job: f"'{job_line(job, f'--config {config_file} out={config.out}')}'",
        against=tuple(dict.fromkeys(name for name in others if name != version)),
        values=field_values(config),
    )


if __name__ == "__main__":
    exit_with(told(main))
