"""Names in SQL expressions that can only be columns, found without Spark, so that a slip is told within a second.

What may be anything else (a word of SQL, a function, a field, a variable) is left to Spark, which resolves every
expression when it reads the table. So this check misses slips, and sees none where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

NAME = r"(?:`(?:[^`]|``)+`|[A-Za-z_]\w*)"
TOKEN = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/)"
    r"""|(?P<text>[rR](?:'[^']*'|"[^"]*")|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
    rf"|(?P<name>{NAME}(?:\s*\.\s*{NAME})*)"
    r"|(?P<number>\.?\d[\w.]*)"
    r"|(?P<sign>->|=>|\S)",
    re.DOTALL,
)
PART = re.compile(r"`((?:[^`]|``)+)`|([A-Za-z_]\w*)")
# Words of SQL within an expression of one row, its units of time and its types; each may be the name of a column, too.
WORDS = frozenset(
    re.findall(
        r"\w+",
        """
all and any array as asc between bigint binary boolean both by byte case cast char character collate current_catalog
current_database current_date current_schema current_time current_timestamp current_user date day dayofweek
dayofweek_iso dayofyear days dec decimal desc distinct div double dow doy else end epoch escape exists false float for
from hour hours identifier ilike in int integer interval is isodow isoyear last leading like localtimestamp long map
microsecond microseconds millisecond milliseconds minute minutes mod month months nanosecond nanoseconds not null
nulls numeric of or overlay placing position qtr quarter real regexp rlike second seconds session_user short smallint
some string struct substring then time timestamp timestamp_ltz timestamp_ntz tinyint to trailing trim true try_cast
unknown user using varchar variant void week weeks when with within without year yearofweek years zone
""",
    )
)
# Words that are no columns, even alone.
VALUES = frozenset(("true", "false", "null", "current_date", "current_timestamp", "current_time", "localtimestamp"))
# Signs and words of expressions in which a name may be a variable, an argument's, a type's, or that of another table.
UNCERTAIN = frozenset(("->", "=>", "select", "over", "struct"))

# What stands before an alias, a collation and a field.
BEFORE_OTHERS = frozenset(("as", "collate", ":", "."))


class Token(NamedTuple):
    """A piece of an expression."""

    kind: str
    text: str


def columns_named(sql: str) -> list[tuple[str, ...]]:
    """Return the names in `sql` that can only be columns, each with its fields: `user.age` is ("user", "age")."""
    tokens = [Token(str(found.lastgroup), found.group()) for found in TOKEN.finditer(sql)]
    tokens = [token for token in tokens if token.kind != "comment"]
    if any(token.text.lower() in UNCERTAIN for token in tokens):
        return []
    if len(tokens) == 1:
        return [_parts(token.text) for token in tokens if token.kind == "name" and token.text.lower() not in VALUES]
    return list(_columns(tokens))


def column_alone(sql: str) -> str | None:
    """Return the column that `sql` is, where it is nothing else."""
    found = TOKEN.fullmatch(sql.strip())
    parts = _parts(found.group()) if found and found.lastgroup == "name" else ()
    return parts[0] if len(parts) == 1 else None


def _columns(tokens: list[Token]) -> Iterator[tuple[str, ...]]:
    last = Token("", "")
    for token, following in zip(tokens, [*tokens[1:], last], strict=True):
        # A function is followed by its bracket, a field of a type by a colon, the type of a literal by its text.
        other = (
            following.text in {"(", ":"} or following.kind == "text" or last.text.lower() in {"as", "collate", ":", "."}
        )
        if token.kind == "name" and not other and token.text.lower() not in WORDS:
            yield _parts(token.text)
        last = token


def _parts(text: str) -> tuple[str, ...]:
    return tuple((quoted or plain).replace("``", "`") for quoted, plain in PART.findall(text))
