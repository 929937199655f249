"""The configuration of a pipeline, and the command line that the jobs share."""

from camoe.config.command_line import DEFAULT_CONFIG, given, load_config, natural, parse, parser, positive
from camoe.config.pipeline import Config

__all__ = ["DEFAULT_CONFIG", "Config", "given", "load_config", "natural", "parse", "parser", "positive"]
