"""The parts of a run: members of other seeds, and what learns anew from the validation days, too."""

from __future__ import annotations

import pytest

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.train.checkpoint.folder import complete, part_of
from camoe.train.checkpoint.identity import run_settings
from camoe.train.data.training_inputs import open_training_inputs
from camoe.train.distributed.workers import join_workers
from camoe.train.loop.fit import common_hash
from camoe.train.parts import Shared, member_parts, refit_parts, train_parts
from camoe.train.supervision.heartbeats import worker_folder
from camoe.train.supervision.watchdog import Watchdog
from tests.train.fitting import RUN, fitted
from tests.train.pipeline import CONFIG, write_pipeline

# Two training days of 130 rows are five batches, with the validation day's seven.
ROWS = {"s0": 60, "s1": 40, "s2": 30}
# Few rows at high rates: the model soon knows them by heart, and the best weights are not the last.
HOT = {
    "epochs": 6, "validate_every": 2, "learning_rate": 0.05, "embedding_learning_rate": 0.5,
    "warmup_steps": 2, "watch_every_steps": 1, "checkpoint": {"every_steps": 3},
}  # fmt: skip


class BrokenOffError(Exception):
    """Stands for whatever ends a worker."""


class Recorder:
    """A tracker that keeps what it is given, and may end training after so many of the run's steps."""

    def __init__(self, last=None):
        self.last, self.steps, self.names = last, [], set()

    def scalars(self, figures, step):
        self.names.update(figures)
        self.steps.append(step)
        if step == self.last:
            raise BrokenOffError

    def finish(self, bundle, manifest, rows):
        """Nothing."""

    def fail(self):
        """Nothing."""


def config_of(folder, **training):
    folder.mkdir(exist_ok=True)
    return load(write_pipeline(folder, ROWS, training=CONFIG["training"] | HOT | training), Config)


def parts(config, tracker):
    """Train all parts; return the hash of each one's weights and its history."""
    inputs, workers = open_training_inputs(config), join_workers()
    with Watchdog(workers.world, config.training.stall_timeout_s, worker_folder(config.layout.logs)) as watchdog:
        shared = Shared(RUN, config, inputs, run_settings(config, inputs), workers, watchdog, (tracker,))
        firsts = train_parts(shared, member_parts(shared))
        earlier = sum(one.history.steps for one in firsts)
        refits = train_parts(shared, refit_parts(shared, firsts), earlier) if config.training.refit else []
    every = [*firsts, *refits]
    return [common_hash(one.run.train_step.model, workers) for one in every], [one.history for one in every]


def test_members_are_the_models_that_each_seed_alone_would_give(tmp_path):
    config = config_of(tmp_path / "both", ensemble=2)
    hashes, histories = parts(config, Recorder())
    assert len({*hashes}) == 2
    for number, found in enumerate(hashes):
        train_step, history = fitted(config_of(tmp_path / f"alone{number}", seed=1 + number))
        assert common_hash(train_step.model, train_step.workers) == found
        assert history.validations == histories[number].validations


def test_a_refit_makes_the_passes_that_validation_chose_over_all_days_on_a_schedule_of_as_many(tmp_path):
    hashes, (first, refit) = parts(config_of(tmp_path, refit=True), Recorder())
    chosen = first.steps_until(first.best_place)
    assert first.best_place.step > 0
    # Seven steps a pass in place of five.
    assert refit.steps == round(chosen * 7 / 5)
    assert sum(result.rows for result in refit.epochs) == sum(result.planned for result in refit.epochs)
    assert refit.epochs[0].planned == 3 * sum(ROWS.values())
    assert hashes[1] == refit.epochs[-1].weights_hash != hashes[0]


def test_with_the_last_weights_chosen_a_refit_runs_its_schedule_to_the_end(tmp_path):
    calm = {"validate_every": None, "learning_rate": 1e-4, "embedding_learning_rate": 1e-3}
    _, (first, refit) = parts(config_of(tmp_path, refit=True, epochs=2, **calm), Recorder())
    assert first.best_place == first.place
    assert (first.steps, refit.steps) == (10, 14)


@pytest.mark.lengthy
@pytest.mark.parametrize("average", [None, pytest.param(0.5, marks=pytest.mark.slow)])
def test_a_run_of_parts_that_broke_anywhere_goes_on_to_the_same_models(tmp_path, average):
    def fresh(name):
        return config_of(tmp_path / name, ensemble=2, refit=True, average=average)

    whole = Recorder()
    config = fresh("whole")
    hashes, histories = parts(config, whole)
    assert len({*hashes}) == 4
    assert {name.split("/")[0] for name in whole.names} >= {"seed2", "seed1_refit", "seed2_refit"}
    # All steps of all parts, in one line.
    ends = [sum(history.steps for history in histories[:number]) for number in (1, 2, 3, 4)]
    assert sorted({*whole.steps}) == list(range(1, ends[-1] + 1))
    for broken_at in (ends[0] - 1, ends[0] + 1, ends[1], ends[1] + 4, ends[3]):
        config = fresh(f"broken-{broken_at}")
        with pytest.raises(BrokenOffError):
            parts(config, Recorder(broken_at))
        again, continued = parts(config, Recorder())
        assert again == hashes
        # NaN equals itself here.
        assert repr([one.validations for one in continued]) == repr([one.validations for one in histories])
    kept = {part_of(path) for path in complete(config.layout.checkpoints)}
    assert kept == {RUN, *(f"{RUN}-part{number:02d}" for number in (2, 3, 4))}
