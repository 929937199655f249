"""Which built days are stale, told from run records alone; and what the files of a table version say of its runs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camoe.contracts.built.columns import how_to_build, lacking, profiled
from camoe.contracts.runs import (
    TIMELESS,
    EntityState,
    RunError,
    RunRecord,
    active_records,
    encoder_version,
    require_fresh,
    stale_days,
    write_record,
)
from camoe.contracts.snapshot import DataFile, Snapshot

START = datetime(2026, 3, 10, tzinfo=UTC)


def day(number):
    return date(2026, 3, number)


def record(name, built, days, prints, reach=None, encoder=1):
    """A run that began `built` hours after the start, built `days`, and saw these fingerprints of the user table."""
    state = EntityState(fingerprints={day(known): text for known, text in prints.items()}, reach_days=reach)
    return RunRecord(
        run_id=name,
        built=START + timedelta(hours=built),
        settings_hash="s",
        input="/lake",
        as_of=START,
        encoder_version=encoder,
        days={day(number): {} for number in days},
        entities={"user": state},
    )


def stale(*runs):
    """Numbers of the stale days, each day being that of the last of `runs` that built it."""
    active = {built: run for run in runs for built in run.days}
    return {found.day for found in stale_days(active)}


OLD = {1: "a", 2: "b", 3: "c", 4: "d"}
NEW = {**OLD, 2: "other"}


def test_days_that_were_built_by_one_run_are_fresh():
    assert stale(record("r", 0, range(1, 5), OLD)) == set()


def test_a_day_built_again_from_the_same_rows_leaves_all_fresh():
    assert stale(record("r", 0, range(1, 5), OLD), record("s", 1, [2], OLD)) == set()


def test_a_day_built_again_from_other_rows_leaves_the_later_days_stale_that_see_them():
    assert stale(record("r", 0, range(1, 5), OLD), record("s", 1, [2], NEW)) == {3, 4}
    assert stale(record("r", 0, range(1, 5), OLD), record("s", 1, [1], NEW)) == {2, 3, 4}


def test_rows_that_became_known_after_a_day_do_not_concern_it():
    assert stale(record("r", 0, range(1, 5), OLD), record("s", 1, [1], {**OLD, 4: "other"})) == {4}
    assert stale(record("r", 0, range(1, 4), OLD), record("s", 1, [1], {**OLD, 9: "new"})) == set()


@pytest.mark.parametrize(("reach", "expected"), [(0, {2}), (1, {2, 3}), (2, {2, 3, 4}), (None, {2, 3, 4})])
def test_a_limited_lookback_limits_the_reach(reach, expected):
    runs = record("r", 0, range(1, 5), OLD, reach), record("s", 1, [1], NEW, reach)
    assert stale(*runs) == expected


def test_a_day_is_judged_by_the_reach_that_it_was_built_with():
    assert stale(record("r", 0, range(1, 5), OLD, 1), record("s", 1, [1], NEW, 2)) == {2, 3}


def test_building_the_stale_days_again_makes_them_fresh():
    runs = record("r", 0, range(1, 5), OLD), record("s", 1, [2], NEW)
    assert stale(*runs, record("t", 2, [3], NEW)) == {4}
    assert stale(*runs, record("t", 2, [3, 4], NEW)) == set()


def test_a_day_added_later_says_nothing_of_earlier_days():
    assert stale(record("r", 0, [1, 2], OLD), record("s", 1, [3], NEW)) == set()


def test_an_entity_without_time_concerns_every_day():
    def run(name, built, days, text):
        state = EntityState(fingerprints={TIMELESS: text}, reach_days=None)
        return record(name, built, days, {}).model_copy(update={"entities": {"campaign": state}})

    assert stale(run("r", 0, [1, 2, 3], "x"), run("s", 1, [1], "y")) == {2, 3}
    assert stale(run("r", 0, [1, 2, 3], "x"), run("s", 1, [1], "x")) == set()


def test_a_run_says_nothing_of_days_that_it_did_not_look_at():
    def looking(run, since):
        seen = {known: text for known, text in run.entities["user"].fingerprints.items() if known >= since}
        state = run.entities["user"].model_copy(update={"fingerprints": seen, "since": since})
        return run.model_copy(update={"entities": {"user": state}})

    first = record("r", 0, range(1, 5), OLD, reach=1)
    assert stale(first, looking(record("s", 1, [3], OLD, reach=1), day(2))) == set()
    assert stale(first, looking(record("s", 1, [3], {**OLD, 1: "other"}, reach=1), day(2))) == set()
    assert stale(first, looking(record("s", 1, [3], {**OLD, 3: "other"}, reach=1), day(2))) == {4}
    # A day that was looked at, and on which nothing had become known.
    assert stale(first, looking(record("s", 1, [3], {2: "b", 4: "d"}, reach=1), day(2))) == {4}


def rests_on(state, day):
    """The fingerprints of the entity rows that rows of `day` may rest on."""
    first = date.min if state.reach_days is None else day - timedelta(days=state.reach_days)
    return {known: text for known, text in state.fingerprints.items() if known == TIMELESS or first <= known <= day}


def looked_at(state, known):
    return known in state.fingerprints or not (state.partial or (state.since is not None and known < state.since))


def changed(own, other, day):
    """The entities that two runs saw differently, from the view of a row of `day` that `own` built."""
    none = EntityState(fingerprints={}, partial=True)
    for name in sorted(own.entities.keys() | other.entities.keys()):
        mine = own.entities.get(name, none)
        theirs = other.entities.get(name, none).model_copy(update={"reach_days": mine.reach_days})
        ours, others = rests_on(mine, day), rests_on(theirs, day)
        seen = {one for one in ours.keys() | others.keys() if looked_at(mine, one) and looked_at(theirs, one)}
        if any(ours.get(one) != others.get(one) for one in seen):
            yield name


def searched(active):
    """Stale days by comparing every day with every earlier one."""
    stale = {}
    for of in active:
        for earlier in sorted(active, reverse=True):
            names = " and ".join(changed(active[of], active[earlier], of))
            if earlier < of and active[earlier].built > active[of].built and names:
                stale[of] = f"{names} changed before {earlier} was built again by run {active[earlier].run_id}"
    return stale


states = st.builds(
    EntityState,
    fingerprints=st.dictionaries(st.sampled_from([TIMELESS, *map(day, range(1, 7))]), st.sampled_from("ab")),
    reach_days=st.none() | st.integers(0, 4),
    since=st.none() | st.sampled_from([*map(day, range(1, 7))]),
)
runs = st.lists(
    st.tuples(st.integers(0, 3), st.dictionaries(st.sampled_from(["user", "ad"]), states)), min_size=1, max_size=4
)


@given(runs, st.data())
def test_staleness_is_that_of_a_search_over_all_pairs_of_days(drawn, data):
    made = [
        record(f"r{number}", built, [], {}).model_copy(update={"entities": entities})
        for number, (built, entities) in enumerate(drawn)
    ]
    active = data.draw(st.dictionaries(st.sampled_from([day(number) for number in range(1, 8)]), st.sampled_from(made)))
    assert stale_days(active) == searched(active)


def searched_by_feature(active):
    """Stale days by comparing each feature of every day with the same of every earlier one."""
    return {
        of
        for of in active
        for earlier in active
        for name, own in active[of].built_by(of).items()
        if earlier < of
        and (other := active[earlier].built_by(earlier).get(name)) is not None
        and other.features[name] == own.features[name]
        and other.built > own.built
        and any(changed(own, other, of))
    }


features = st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["first", "second"]), min_size=1)


@given(runs, st.lists(features, min_size=4, max_size=4), st.data())
def test_days_to_which_runs_added_columns_are_judged_feature_by_feature(drawn, defined, data):
    made = [
        record(f"r{number}", built, [], {}).model_copy(update={"entities": entities, "features": defined[number]})
        for number, (built, entities) in enumerate(drawn)
    ]
    some = st.lists(st.sampled_from(made), min_size=1, max_size=3, unique_by=lambda run: run.run_id)
    active = {
        of: layered(of, *layers)
        for of, layers in data.draw(st.dictionaries(st.sampled_from([*map(day, range(1, 6))]), some)).items()
    }
    assert stale_days(active).keys() == searched_by_feature(active)


def layered(of, *runs):
    """The record of the last of `runs`, which kept the rows of `of` as those before it had made them."""
    *under, last = runs
    kept = {of: tuple(run.run_id for run in under)} if under else {}
    return last.model_copy(update={"kept": kept, "under": {run.run_id: run for run in under}})


def test_the_record_of_a_run_that_added_columns_is_read_with_those_of_the_runs_whose_rows_it_kept(tmp_path):
    first = record("first", 0, [1, 2], OLD).model_copy(update={"features": {"x": "1", "y": "1"}})
    then = record("then", 1, [1], {}).model_copy(
        update={"features": {"y": "2", "z": "2"}, "kept": {day(1): ("first",)}}
    )
    for one in (first, then):
        write_record(one, tmp_path)
    found = active_records(snapshot((1, "then"), (2, "first")), tmp_path)
    assert found[day(1)].definitions(day(1)) == {"x": "1", "y": "2", "z": "2"}
    assert found[day(2)].definitions(day(2)) == {"x": "1", "y": "1"}
    assert [one.run_id for one in found[day(1)].layers(day(1))] == ["first", "then"]
    assert profiled(found) == (
        {(day(1), "first"), (day(1), "then"), (day(2), "first")}, {(day(1), "first", "y")}
    )  # fmt: skip
    assert profiled(found, {"x": "3"})[1] >= {(day(1), "first", "x"), (day(2), "first", "x")}
    assert lacking(found, [day(1), day(2)], {"x": "1", "y": "2"}) == {"y": (day(2),)}
    assert how_to_build({"y": (day(2),), "z": (day(2),)}).startswith("y, z on 2026-03-02; ")
    (tmp_path / "first.json").unlink()
    with pytest.raises(RunError, match="the record of feature run first is missing"):
        active_records(snapshot((1, "then")), tmp_path)


def test_stale_days_are_refused_with_what_changed_and_the_days_to_build():
    active = dict.fromkeys((day(1), day(3), day(4)), record("r", 0, range(1, 5), OLD)) | {
        day(2): record("s", 1, [2], NEW)
    }
    require_fresh(active, [day(1), day(2)], "the table")
    with pytest.raises(
        RunError, match=r"the table: stale days 2026-03-03\.\.2026-03-04 \(user changed .* run s\); .*"
    ) as refused:
        require_fresh(active, [day(2), day(3), day(4)], "the table")
    assert str(refused.value).endswith("--days 2026-03-03..2026-03-04 --as-of 2026-03-10T00:00:00+00:00")


def test_the_encoder_of_a_table_is_the_greatest_of_its_runs():
    runs = {day(1): record("r", 0, [1], OLD, encoder=3), day(2): record("s", 1, [2], OLD, encoder=2)}
    assert encoder_version(runs) == 3


def snapshot(*files):
    named = [DataFile(f"/t/{number}", "m", "s", day(of), (1,), run) for number, (of, run) in enumerate(files)]
    return Snapshot("/t", 1, tuple(named), {}, ())


def test_the_files_of_a_version_name_the_run_of_each_day(tmp_path):
    for name in ("r", "s"):
        write_record(record(name, 0, [1, 2], OLD), tmp_path)
    found = active_records(snapshot((1, "r"), (1, "r"), (2, "s")), tmp_path)
    assert {built: run.run_id for built, run in found.items()} == {day(1): "r", day(2): "s"}
    assert found[day(1)] == record("r", 0, [1, 2], OLD)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([(1, "r"), (1, "s")], "the files of 2026-03-01 name r, s as their run; build that day again"),
        ([(1, "")], "the files of 2026-03-01 name none as their run"),
        ([(1, "gone")], "the record of feature run gone is missing"),
        ([(1, "broken")], r"broken\.json is damaged"),
    ],
)
def test_a_day_whose_run_is_not_known_is_refused_unless_it_is_left_out(tmp_path, files, message):
    for name in ("r", "s"):
        write_record(record(name, 0, [1], OLD), tmp_path)
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(RunError, match=message):
        active_records(snapshot(*files), tmp_path)
    assert active_records(snapshot(*files), tmp_path, without=[day(1)]) == {}
