"""Make a model cheaper: a smaller student, fewer experts, narrower embeddings, no rare values; each step measured.

python jobs/compress.py --config conf/synthetic.yaml out=out/synthetic compress.experts=1 compress.embedding_dim=6
python jobs/compress.py --config conf/kuairand.yaml out=out/kuairand --to out/small \\
    'compress.student={embedding_dim: 4, experts: 2, expert: {rank: 8, hidden: [32, 16]}, tower_hidden: []}'

The source stays what it is: the cheaper model is a bundle of its own in another folder, which scores with out=THAT
lake=THIS. Beside it, compress.md and compress.json have AUC-PR, NE and ECE at each step, paired with the source, its
parameters, and what training and scoring cost. Choose on the validation days (--days), and look at the test days once.
"""

from __future__ import annotations

import time

from camoe.config.command_line import given, given_days, given_place, load_config, next_line, parse, parser
from camoe.config.ending import exit_with
from camoe.contracts.shown.commands import job_line


def main(argv: list[str]) -> None:
    """Walk the way from the source to the cheaper model, and write what each step is worth."""
    started = time.monotonic()
    options = parser(__doc__ or "")
    options.add_argument("--source", metavar="MODEL", help="version or bundle to begin with (default: newest of out)")
    options.add_argument("--to", type=given_place, metavar="PLACE", help="where to write (default: compressed in out)")
    options.add_argument("--days", type=given_days, help="days to measure on (default: the test days)")
    chosen = parse(options, argv)
    from camoe.bundle.manifest import open_bundle
    from camoe.compress.measure import measured
    from camoe.compress.page import document, markdown
    from camoe.compress.run import Way
    from camoe.contracts.days import day_list
    from camoe.contracts.files import write_json, write_text
    from camoe.contracts.layout import Layout
    from camoe.contracts.snapshot import logged
    from camoe.registry.named import NEWEST, named_model
    from camoe.train.batch import for_workers
    from camoe.train.holds import folder_alone, pinned_table

    config = for_workers(load_config(chosen), 1)
    layout, to = config.layout, chosen.to or config.out / "compressed"
    days = tuple(chosen.days or config.days.test.days())
    source, version = named_model(layout, chosen.source or NEWEST).folder, logged(config.training_table).version
    with folder_alone(Layout(to)), pinned_table(config, version):
        stages = Way(config, open_bundle(source), to, version).walk()
        found = measured(config, version, stages, days)
    command = job_line("compress", given(chosen))
    page = markdown(found, day_list(days), command)
    write_text(to / "compress.md", page)
    write_json(to / "compress.json", document(found, day_list(days), command))
    print(page)
    first, last = found[0], found[-1]
    print(
        f"compress: model {last.version} in {to / 'bundle'} costs {last.microseconds / first.microseconds:.2f} of "
        f"{first.version}, which stays in {first.stage.bundle}; took {time.monotonic() - started:.0f} s"
    )
    print(next_line(job_line("score", f"{given(chosen)} out={to} lake={layout.lake}")))


if __name__ == "__main__":
    exit_with(main)
