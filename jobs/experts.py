"""Report on what a model's experts do, on the test days: out/.../report/experts.png and experts.json.

python jobs/experts.py --config conf/synthetic.yaml out=out/synthetic

Mean gate weights by head and slot, how far heads' gates lie apart, how alike experts are, how many are in use, which
fields the gates look at, how they came apart in training, and whether they differ by modality more than by chance.
"""

from __future__ import annotations

import json
import time

from camoe.config.command_line import given_days, load_config, next_line, parse, parser
from camoe.config.ending import exit_with


def main(argv: list[str]) -> None:
    """Read the rows of the days once, and write the report."""
    started = time.monotonic()
    options = parser(__doc__ or "")
    options.add_argument("--days", type=given_days, help="2026-03-10,2026-03-12..2026-03-14 (default: the test days)")
    options.add_argument("--model", help="version, bundle folder or champion (default: the newest bundle of out)")
    chosen = parse(options, argv)
    from camoe.bundle.manifest import METRICS, open_bundle
    from camoe.contracts.files import atomic_file, write_json
    from camoe.contracts.places.pins import pinned_here
    from camoe.contracts.snapshot import logged, opened
    from camoe.evaluation.expert_figures import course, expert_document, expert_picture
    from camoe.evaluation.experts import experts_of, first_model
    from camoe.registry.named import NEWEST, named_model

    config = load_config(chosen)
    layout, days = config.layout, tuple(chosen.days or config.days.test.days())
    bundle = open_bundle(named_model(layout, chosen.model or NEWEST).folder)
    model = first_model(bundle)
    version = logged(config.training_table).version
    table, why = config.training_table, "the report on experts reads it"
    with pinned_here(layout.pins, layout.training, table, version, job="experts", why=why):
        snapshot = opened(logged(table, version), days).on(days)
        found = experts_of(model, bundle.spec, snapshot, config.evaluation.seed)
    trained = course(json.loads(bundle.read(METRICS)))
    picture, document = layout.report / "experts.png", layout.report / "experts.json"
    with atomic_file(picture) as temporary:
        temporary.write_bytes(expert_picture(found, trained))
    write_json(document, {"model": bundle.manifest.model_version, **expert_document(found, trained)})
    for head, number in zip(found.heads, found.in_use, strict=True):
        print(f"experts: head {head} uses {number:.2f} of {len(found.alike)} experts")
    if found.modalities is not None:
        print(f"experts: they differ by modality {found.modalities.told} (p = {found.modalities.p:.3f})")
    print(f"experts: {snapshot.rows:,} impressions in {time.monotonic() - started:.0f} s")
    print(next_line(f"look at {picture}"))


if __name__ == "__main__":
    exit_with(main)
