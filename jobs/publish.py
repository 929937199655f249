"""Copy a model's bundle to an object store, and let the address serve it from then on.

python jobs/publish.py --to s3://bucket/models/mine --config conf/synthetic.yaml out=out/synthetic

Then `camoe.load("s3://bucket/models/mine")` is that model, as is `--model s3://bucket/models/mine` of other jobs.
Bundles that were published before stay below the address. Credentials come from the environment (docs/operations.md).
"""

from __future__ import annotations

from camoe.config.command_line import load_config, parse, parser
from camoe.config.ending import exit_with


def main(argv: list[str]) -> None:
    """Publish the bundle of one model."""
    options = parser(__doc__ or "")
    options.add_argument("--to", required=True, metavar="ADDRESS", help="s3://bucket/path")
    options.add_argument("--model", help="version, bundle folder or newest (default: champion, else newest)")
    chosen = parse(options, argv)
    from camoe.bundle.published import publish
    from camoe.registry.named import named_model

    made = publish(named_model(load_config(chosen).layout, chosen.model).folder, chosen.to)
    print(f"publish: {chosen.to} serves model {made.model_version}, from {made.folder} below it")


if __name__ == "__main__":
    exit_with(main)
