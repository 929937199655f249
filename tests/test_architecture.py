"""The arrows between the parts of the code, and the sizes of what a reader has to take in at once."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from functools import cache
from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

from tests.conftest import ROOT

# From the top down; parts of one line know nothing of each other, and none knows one above it.
LAYERS = (
    {"compress"},
    {"study"},
    {"train", "evaluation", "score"},
    {"registry"},
    {"bundle", "report"},
    {"model"},
    {"config"},
    {"market"},
    {"metrics", "stream"},
    {"contracts"},
)
# Of camoe, what the Spark side may know.
SHARED = ("camoe.contracts", "camoe.config")
# What neither a configuration nor a contract may need.
HEAVY = {"torch", "horovod", "petastorm", "pyspark", "delta"}
PARTS = ("camoe", "features", "jobs")
MOST_FILES = 18
MOST_LINES = {"jobs": 99, "features": 299, "camoe": 299}
MOST_LINES_OF_A_FUNCTION = 49


@cache
def graph():
    return grimp.build_graph("camoe", "features", include_external_packages=True, cache_dir=None)


def imported(start):
    """(importing module, imported module) of all modules below `start`."""
    own = [name for name in graph().modules if within(name, start)]
    return [(name, other) for name in own for other in graph().find_modules_directly_imported_by(name)]


def within(name, *parts):
    return any(name == part or name.startswith(f"{part}.") for part in parts)


@cache
def files(part):
    return sorted((ROOT / part).rglob("*.py"))


def named(path, what, number):
    return f"{path.relative_to(ROOT)}: {what} {number}"


def folder(name):
    """The folder of a module's file: a package's own file lies in it."""
    return name if (ROOT / name.replace(".", "/")).is_dir() else name.rpartition(".")[0]


def circle(edges):
    nodes = defaultdict(set)
    for start, end in edges:
        if start != end:
            nodes[start].add(end)
    try:
        TopologicalSorter(nodes).prepare()
    except CycleError as error:
        return " -> ".join(reversed(error.args[1]))
    return ""


def project():
    """The imports between modules of the project."""
    return [pair for part in ("camoe", "features") for pair in imported(part) if within(pair[1], "camoe", "features")]


def test_every_folder_of_camoe_has_a_layer_and_knows_only_lower_ones():
    found = graph().find_illegal_dependencies_for_layers(layers=LAYERS, containers={"camoe"})
    assert {(item.importer, item.imported) for item in found} == set()
    packages = {path.name for path in (ROOT / "camoe").iterdir() if (path / "__init__.py").exists()}
    assert packages == set().union(*LAYERS)


def test_features_know_of_camoe_only_what_is_shared():
    assert [pair for pair in imported("features") if within(pair[1], "camoe") and not within(pair[1], *SHARED)] == []
    assert [pair for pair in imported("camoe") if within(pair[1], "features")] == []


def test_the_library_knows_neither_jobs_nor_tests_nor_the_bench():
    outer = [pair for part in ("camoe", "features") for pair in imported(part)]
    assert [pair for pair in outer if within(pair[1], "jobs", "tests", "bench")] == []


@pytest.mark.parametrize("part", (*SHARED, "camoe.market"))
def test_what_is_shared_and_the_market_need_no_heavy_library(part):
    reached = {name for start, _ in imported(part) for name in graph().find_upstream_modules(start)}
    assert reached & HEAVY == set()


def test_no_files_import_each_other_in_a_circle():
    assert circle(project()) == ""


def test_no_folders_import_each_other_in_a_circle():
    assert circle((folder(start), folder(end)) for start, end in project()) == ""


def test_what_tests_share_lies_in_files_of_its_own():
    shared = re.compile(r"^\s*(from|import) (?=tests?[._]).*\btest_.*", re.MULTILINE)
    assert {path.name: match[0] for path in files("tests") if (match := shared.search(path.read_text()))} == {}


def test_no_folder_has_more_files_than_a_reader_takes_in():
    counted = Counter(path.parent for part in (*PARTS, "bench", "tests") for path in files(part))
    assert [named(path, "files", number) for path, number in counted.items() if number > MOST_FILES] == []


@pytest.mark.parametrize("part", PARTS)
def test_files_are_short(part):
    counted = {path: len(path.read_text().splitlines()) for path in files(part)}
    assert [named(path, "lines", lines) for path, lines in counted.items() if lines > MOST_LINES[part]] == []


@pytest.mark.parametrize("part", PARTS)
def test_functions_are_short(part):
    assert [
        named(path, node.name, lines)
        for path in files(part)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MOST_LINES_OF_A_FUNCTION
    ] == []
