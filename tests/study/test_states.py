import numpy as np
import pandas as pd
import pytest

from camoe.contracts.slots import Slot, SlotCatalogue
from camoe.study.states import by_group, entropy_over_slots, read_states, states_of, write_states

SLOTS = SlotCatalogue(
    slots=(Slot(id="a", name="A", modality="audio"), Slot(id="b", name="B", modality="audio"),
           Slot(id="v", name="V", modality="video"))
)  # fmt: skip


def rows(number=4000, heads=("all",), of="rate"):
    """Scored rows of three slots of different rates, by a model that knows the slot's rate or nothing at all."""
    random = np.random.default_rng(2)
    slot = random.choice(["a", "b", "v"], number)
    label = (random.random(number) < pd.Series(slot).map({"a": 0.1, "b": 0.3, "v": 0.6})).astype(float)
    rate = label.groupby(slot).transform("mean") if of == "rate" else pd.Series(np.full(number, label.mean()))
    frame = pd.DataFrame({"slot": slot, "label": label, "p": rate, "p_raw": rate * 0.9})
    label[random.random(number) < 0.05] = np.nan
    return frame.assign(
        objective="click", head=random.choice(heads, number), part="test", date="2026-01-04",
        bucket=random.integers(0, 10, number), label=label,
    )  # fmt: skip


def test_states_are_those_of_the_rows_by_any_group(tmp_path):
    frame = rows()
    write_states(tmp_path / "states.parquet", states_of(frame, 10))
    states = by_group(read_states(tmp_path / "states.parquet", "test"), SLOTS, "click", 10)
    known = frame.dropna(subset=["label"])
    assert {name: (state.rows, state.clicks) for (_, name), state in states.items()} == {
        name: (len(own), int(own["label"].sum()))
        for name, own in {
            "all": known, "audio": known[known["slot"] != "v"], "video": known[known["slot"] == "v"],
            **{slot: known[known["slot"] == slot] for slot in "abv"},
        }.items()
    }  # fmt: skip
    raw = by_group(read_states(tmp_path / "states.parquet", "test", "model_raw"), SLOTS, "click", 10)
    assert raw["all", "all"].p_sum.sum() == pytest.approx(0.9 * states["all", "all"].p_sum.sum())


def test_the_score_of_who_knows_each_slot_s_rate_is_one_whatever_the_heads():
    one, many = (states_of(rows(heads=heads), 10) for heads in (("all",), ("x", "y", "z")))
    scores = [entropy_over_slots(states[states["predictor"] == "model"]) for states in (one, many)]
    assert scores[0] == pytest.approx(1.0, abs=0.003)
    assert scores[1] == pytest.approx(scores[0])
    flat = states_of(rows(of="nothing"), 10)
    assert entropy_over_slots(flat[flat["predictor"] == "model"]) > 1.1


def test_where_each_slot_has_one_label_there_is_no_score():
    frame = rows().assign(label=1.0)
    assert entropy_over_slots(states_of(frame, 10)) is None
