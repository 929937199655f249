"""Say which model is served: the registry of models in the lake. Scoring and evaluation follow its champion.

python jobs/models.py list out=out/mine                          models, their states, who changed them and why
python jobs/models.py promote --model a72f14598e63 out=out/mine  to champion, by the rule (promotion) or --reason TEXT
python jobs/models.py promote --to shadow out=out/mine           the newest bundle is scored beside the champion
python jobs/models.py rollback out=out/mine                      back to the champion before
python jobs/models.py retire --model a72f14598e63 out=out/mine   a shadow or an old champion; --delete its copy, too

A model is named by its version, the folder of a bundle, `newest` or `champion`.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from camoe.config.command_line import commands, given_days, load_config, parse
from camoe.config.ending import exit_with

if TYPE_CHECKING:
    from camoe.config.pipeline import Config
    from camoe.registry.record import Registry


def run_list(_: argparse.Namespace, config: Config) -> None:
    """List the models of the registry, those of this folder that are not in it, and who changed what."""
    from camoe.registry.lines import listed

    print("\n".join(listed(config.layout)))


def run_promote(chosen: argparse.Namespace, config: Config) -> None:
    """Make a model the champion, by the rule or for a reason, or a shadow, which is scored beside it."""
    from camoe.evaluation.promotion import judge, require_met
    from camoe.registry.changes import change_now, promoted
    from camoe.registry.named import named_model
    from camoe.registry.record import CHAMPION, RegistryError
    from camoe.registry.store import change, read_registry

    layout, judgement, rule = config.layout, None, config.promotion
    model, champion = named_model(layout, chosen.model), read_registry(layout.models).champion
    if chosen.to == CHAMPION and chosen.reason is None and model.version != champion:
        if champion is None:
            raise RegistryError("there is no champion that it could be held against; give --reason TEXT")
        days = chosen.days or config.days.test.days()
        judgement = judge(layout.states, model.version, champion, days, rule=rule, settings=config.evaluation)
        require_met(judgement, model.version)
    made = change_now("promote", model.version, chosen.to, chosen.reason, judgement)
    _tell(config, change(layout, partial(promoted, change=made, origin=str(model.folder)), model.folder))


def run_rollback(chosen: argparse.Namespace, config: Config) -> None:
    """Make the champion before the champion again."""
    from camoe.registry.changes import before_champion, change_now, rolled_back
    from camoe.registry.store import change, read_registry

    made = change_now("rollback", before_champion(read_registry(config.layout.models)), "champion", chosen.reason)
    _tell(config, change(config.layout, partial(rolled_back, change=made)))


def run_retire(chosen: argparse.Namespace, config: Config) -> None:
    """Retire a shadow or an old champion, so that nothing is scored with it unless it is named."""
    from camoe.registry.changes import change_now, retired
    from camoe.registry.named import named_model
    from camoe.registry.store import change

    made = change_now("retire", named_model(config.layout, chosen.model).version, "retired", chosen.reason)
    _tell(config, change(config.layout, partial(retired, change=made, delete=chosen.delete)))


def _tell(config: Config, registry: Registry) -> None:
    from camoe.registry.lines import last_change
    from camoe.train.tracking.mlflow_registry import fill

    print(last_change(registry))
    if config.training.tracking is not None:
        print(f"models: {fill(config.training.tracking, registry, config.layout.models)}")


def main(argv: list[str]) -> None:
    """Run one command."""
    top, made = commands(__doc__ or "", (run_list, run_promote, run_rollback, run_retire))
    for name in ("promote", "rollback", "retire"):
        made[name].add_argument("--reason", metavar="TEXT", help="why, for the list of changes")
    promote, retire = made["promote"], made["retire"]
    promote.add_argument("--model", default="newest", help="version, bundle folder or newest (default)")
    promote.add_argument("--to", choices=("champion", "shadow"), default="champion", help="default: champion")
    promote.add_argument("--days", type=given_days, help="days of the evaluation (default: the test days)")
    retire.add_argument("--model", required=True, help="version or bundle folder")
    retire.add_argument("--delete", action="store_true", help="remove the registry's copy of its bundle")
    chosen = parse(made[argv[0]], argv[1:]) if argv and argv[0] in made else top.parse_args(argv)
    chosen.run(chosen, load_config(chosen))


if __name__ == "__main__":
    exit_with(main)
