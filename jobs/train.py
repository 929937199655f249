"""Train CAMoE on the training table with N Horovod workers and write a model bundle.

On this machine:   python jobs/train.py -np 2 --config conf/synthetic.yaml out=out/synthetic
On given hosts:    python jobs/train.py -np 8 -H host1:4,host2:4 ...
Inside Spark:      spark-submit --properties-file conf/spark/local.conf jobs/train.py --launcher spark -np 2 ...
After a crash:     the same command with --resume: it continues the newest checkpoint under out/checkpoints
By hand:           python -m camoe.train.launch.horovodrun --gloo -np 2 python -m camoe.train.worker ...
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence

from camoe.config.command_line import given, load_config, natural, next_line, parse, parser, positive
from camoe.config.ending import exit_with
from camoe.config.pipeline import Config
from camoe.contracts.shown.commands import job_line
from features.spark.told import told


def main(argv: list[str]) -> None:
    """Check the inputs, run the workers, show what came out."""
    options = parser(__doc__ or "")
    options.add_argument("-np", "--workers", type=positive, default=2, help="Horovod workers (default: 2)")
    options.add_argument("-H", "--hosts", help="host1:slots,host2:slots (default: this machine)")
    options.add_argument("--network-interfaces", metavar="NAMES", help="eth0,eth1: those that workers speak over")
    options.add_argument("--launcher", choices=["horovod", "spark"], default="horovod")
    options.add_argument("--table-version", type=int, help="version of the training table (default: the newest)")
    options.add_argument("--resume", action="store_true", help="continue the newest checkpoint, if there is one")
    options.add_argument("--retries", type=natural, default=0, help="times to go on without lost workers")
    chosen = parse(options, argv)
    from camoe.registry.named import scoring_it
    from camoe.train.batch import for_workers
    from camoe.train.holds import folder_alone
    from camoe.train.launch.attempts import hosts_of_workers
    from camoe.train.launch.reachable import require_answers, require_shared_work
    from camoe.train.summary import recorded

    asked = load_config(chosen)
    # Once, so that an attempt with fewer workers keeps the batch and the rates of the first.
    config = for_workers(asked, chosen.workers)
    slots = hosts_of_workers(chosen.hosts, chosen.workers)
    require_shared_work(config, slots)
    require_answers(slots)
    started = time.monotonic()
    with folder_alone(config.layout):
        _train(chosen, asked, config, slots)
        print(recorded(config.layout, time.monotonic() - started))
        print(next_line(job_line("score", f"{given(chosen)}{scoring_it(config.layout)}")))


def _train(chosen: Namespace, asked: Config, config: Config, slots: Sequence[str]) -> None:
    """Train with a worker on each of `slots`; `config` is the one `asked` for with batch and rates decided."""
    from camoe.train.batch import as_overrides, describe_batch
    from camoe.train.checkpoint.resume import resume_point
    from camoe.train.data.training_inputs import open_training_inputs
    from camoe.train.holds import pinned_table
    from camoe.train.launch.attempts import with_retries
    from camoe.train.launch.launch import launch_with_horovod, launch_with_spark
    from camoe.train.launch.reachable import answering
    from camoe.train.tracking.mlflow_tracker import marked_when_lost
    from features.spark.session import spark_session

    begin = resume_point(config.layout.checkpoints, chosen.resume, chosen.table_version)
    inputs = open_training_inputs(config, begin.table_version)
    print(
        f"train: {inputs.train.rows:,} rows of {inputs.train.table} version {inputs.version}, "
        f"{describe_batch(asked.training, chosen.workers)}; {begin.description}{inputs.labels}",
        flush=True,
    )

    def attempt(number: int, slots: Sequence[str]) -> None:
        log = config.layout.logs / ("train_workers.log" if number == 1 else f"train_workers-{number}.log")
        if chosen.launcher == "spark":
            spark_session("train", config.layout.logs)
            launch_with_spark(config, inputs.version, begin.run, len(slots), log)
        else:
            arguments = ["--config", chosen.config, "--table-version", str(inputs.version), "--run", begin.run]
            overrides = [*chosen.overrides, *as_overrides(asked.training, chosen.workers)]
            launch_with_horovod(config, arguments, overrides, slots, log, interfaces=chosen.network_interfaces)

    marked = marked_when_lost(config.training.tracking, config.layout.checkpoints, begin.run)
    with pinned_table(config, inputs.version), marked:
        with_retries(attempt, slots, chosen.retries, answering)


if __name__ == "__main__":
    exit_with(told(main), go_on="--resume")
