"""What was meant by what is not there."""

from __future__ import annotations

import pytest

from camoe.config.command_line import given_days, parse, parser
from camoe.contracts.shown.suggestions import why_no_day


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-32", "2026-03 has the days 1 to 31"),
        ("2026-02-29", "2026-02 has the days 1 to 28"),
        ("2028-02-30", "2028-02 has the days 1 to 29"),
        ("2026-13-01", "years begin with 1, and have 12 months"),
        ("0000-01-01", "years begin with 1, and have 12 months"),
        ("2026-03-02T25:00:00", "a time is written as 2026-03-02T06:00:00+00:00"),
        ("tomorrow", "a day is written as 2026-03-02"),
    ],
)
def test_why_there_is_no_such_day(text, expected):
    assert why_no_day(text) == expected


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--cnfig", "x.yaml"], "unrecognized arguments: --cnfig; did you mean --config?"),
        (["--dys=2026-03-02"], "unrecognized arguments: --dys=2026-03-02; did you mean --days?"),
        (["--days", "2026-03-32"], "argument --days: '2026-03-32' is no day: 2026-03 has the days 1 to 31"),
        (["--xyz"], "unrecognized arguments: --xyz\n"),
    ],
)
def test_an_option_that_is_not_there_is_told_with_the_one_that_was_meant(argv, said, capsys):
    made = parser("")
    made.add_argument("--days", type=given_days)
    with pytest.raises(SystemExit):
        parse(made, argv)
    assert said in capsys.readouterr().err
