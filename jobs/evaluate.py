"""Measure a scored model on the test days, per slot, and write the report.

    spark-submit --properties-file conf/spark/local.conf jobs/evaluate.py --config conf/synthetic.yaml out=out/run1

Reads the predictions of the bundle's model version, the labels of the training-table version they were scored from,
and a synthetic lake's true probabilities. Writes report/metrics.json, report/index.html and report/summary.png.
"""

from __future__ import annotations

import time

from rich.console import Console

from camoe.bundle.manifest import METRICS, read_manifest
from camoe.config.command_line import load_config, next_line, parse, parser, submit_line
from camoe.config.ending import exit_with
from camoe.config.pipeline import Config
from camoe.contracts.places.counts import record
from camoe.evaluation.document import metrics_document
from camoe.evaluation.evaluate import ScoredRun, evaluate
from camoe.report.terminal import metrics_table
from camoe.report.write import read_json, write_report
from features.spark.failures import as_input_errors, told
from features.spark.progress import step
from features.spark.session import spark_session

TERMINAL_COLUMNS = 120


def main(argv: list[str]) -> None:
    """Measure, check that every row is accounted for, write the report and show the table."""
    started = time.monotonic()
    arguments = parse(parser(__doc__ or ""), argv)
    config = load_config(arguments)
    # A training may end meanwhile: its model is another one.
    bundle = config.layout.bundle.resolve()
    version, training = read_manifest(bundle).model_version, read_json(bundle / METRICS)
    spark = spark_session("evaluate")
    remedy = (
        "if a file is damaged, run the job that wrote its folder again (jobs/score.py: predictions, "
        "jobs/build_features.py: training, jobs/make_lake.py: truth) and those after it"
    )
    with (
        step(spark.sparkContext, f"evaluate: model {version}"),
        as_input_errors(f"cannot evaluate {config.out}", remedy),
    ):
        evaluation = evaluate(spark, _scored_run(config, version, arguments.config), config.evaluation)
    record(config.layout.counts, "evaluate", evaluation.counts)
    document = metrics_document(config, evaluation, version)
    written = write_report(config.layout, document, training)
    console = Console(width=TERMINAL_COLUMNS)
    for objective in config.heads.objectives:
        console.print(metrics_table(document, objective))
    seconds = time.monotonic() - started
    print(f"evaluate: {evaluation.counts['evaluated']:,} labelled predictions of model {version} in {seconds:.0f} s")
    for path in written:
        print(f"evaluate: written to {path}")
    print(next_line(f"open {config.layout.report / 'index.html'} in a browser"))


def _scored_run(config: Config, version: str, config_file: str) -> ScoredRun:
    return ScoredRun(
        model_version=version,
        days=config.days,
        objectives=config.heads.objectives,
        layout=config.layout,
        truth=config.input is None and config.layout.truth.is_dir(),
        command=lambda job: f"'{submit_line(job, f'--config {config_file} out={config.out}')}'",
    )


if __name__ == "__main__":
    exit_with(told(main))
