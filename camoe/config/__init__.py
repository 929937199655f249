"""The configuration of a pipeline, and the command line that the jobs share."""

from camoe.config.command_line import (
    given,
    given_days,
    load_config,
    natural,
    next_line,
    parse,
    parser,
    positive,
)
from camoe.config.pipeline import Config
from camoe.contracts.shown.commands import DEFAULT_CONFIG, job_line

__all__ = [
    "DEFAULT_CONFIG",
    "Config",
    "given",
    "given_days",
    "job_line",
    "load_config",
    "natural",
    "next_line",
    "parse",
    "parser",
    "positive",
]
