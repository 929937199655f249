"""Failures of Spark told as a job's own, without Spark being loaded before the job needs it."""

from __future__ import annotations

import functools
from collections.abc import Callable

from camoe.contracts.errors import CamoeError


def told(main: Callable[[list[str]], None]) -> Callable[[list[str]], None]:
    """Return a job's `main` that raises a `CamoeError` for a failure of Spark with a cause that a user can mend."""

    @functools.wraps(main)
    def telling(argv: list[str]) -> None:
        try:
            main(argv)
        except CamoeError:
            raise
        except Exception as error:
            from features.spark.failures import of_the_job  # noqa: PLC0415 - it loads Spark, which --help is not to wait for

            other = of_the_job(error)
            if other is None:
                raise
            raise other from error

    return telling
