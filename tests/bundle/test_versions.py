"""The bundles of an output folder: a new one takes the link, and the ones before stay for a while."""

from __future__ import annotations

import shutil

import pytest

from camoe.bundle.manifest import read_manifest, write_manifest
from camoe.bundle.versions import current, new_version, versions
from tests.bundle.manifest import MANIFEST
from tests.killed import killed_at_each


def write(link, number, keep=3):
    """Write what looks like the bundle of a model with that number."""
    with new_version(link, keep) as folder:
        (folder / "weights").write_text(str(number))
        made = MANIFEST.model_copy(update={"model_version": f"{number:012}"})
        write_manifest(folder, made)
    return made


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_bundles_before_stay_until_they_are_too_old(tmp_path):
    link = tmp_path / "bundle"
    assert current(link) is None
    written = [write(link, number, keep=2) for number in (1, 2, 3)]
    assert current(link) == written[-1]
    assert [read_manifest(path) for path in versions(link)] == written[1:]
    assert listed(tmp_path) == ["bundle", "bundles"]
    assert listed(tmp_path / "bundles") == [path.name for path in versions(link)]


def test_a_reader_of_the_bundle_before_reads_on(tmp_path):
    link = tmp_path / "bundle"
    write(link, 1)
    followed = link.resolve()
    write(link, 2)
    assert (followed / "weights").read_text() == "1"
    assert (link / "weights").read_text() == "2"


def test_the_link_goes_with_its_folder(tmp_path):
    made = write(tmp_path / "out/bundle", 1)
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    assert read_manifest(tmp_path / "elsewhere/bundle") == made


def test_a_bundle_that_lies_there_itself_joins_the_others(tmp_path):
    """As one that was copied there does, or that an earlier version of the project wrote."""
    made, link = write(tmp_path / "trained/bundle", 1), tmp_path / "out/bundle"
    shutil.copytree(tmp_path / "trained/bundle", link)
    after = write(link, 2)
    assert [read_manifest(path) for path in versions(link)] == [made, after]
    assert read_manifest(link) == after


def test_a_clock_that_was_set_back_costs_no_bundle(tmp_path):
    """The one that was written last counts as the newest, and a folder of somebody else stays."""
    link = tmp_path / "bundle"
    write(link, 1)
    later = tmp_path / "bundles/29991231T235959999999Z-000000000001"
    link.resolve().rename(later)
    other = tmp_path / "bundles/a note"
    other.mkdir()
    for number in (2, 3):
        made = write(link, number, keep=1)
        assert read_manifest(link) == made
        assert versions(link) == [link.resolve()]
    assert link.resolve().name > later.name
    assert other.is_dir()


def test_a_writer_that_is_killed_leaves_the_bundle_before_or_its_own(tmp_path):
    link = tmp_path / "bundle"
    before = write(link, 1, keep=1)
    found = []
    for through in killed_at_each(lambda: write(link, 2, keep=1)):
        found.append((read_manifest(link).model_version, through))
        assert (link / "weights").read_text() == str(int(found[-1][0]))
    assert {name for name, through in found if not through} == {before.model_version, f"{2:012}"}
    assert found[-1] == (f"{2:012}", True)
    assert listed(tmp_path / "bundles") == [link.resolve().name]


def test_a_writer_that_fails_or_was_killed_leaves_the_bundle_before(tmp_path):
    link = tmp_path / "bundle"
    made = write(link, 1)
    with pytest.raises(ValueError, match="half"), new_version(link, 3) as folder:
        (folder / "weights").write_text("half")
        raise ValueError("half")
    assert read_manifest(link) == made
    assert len(listed(tmp_path / "bundles")) == 1
    (tmp_path / "bundles/.staging-killed").mkdir()
    assert versions(link) == [link.resolve()]
    write(link, 2)
    assert [name for name in listed(tmp_path / "bundles") if name.startswith(".")] == []
