"""Which values of a label are meant: the spelling that rules and silences share.

    iris              this value; an empty text: a label that is absent or empty
    [iris, digits]    one of these
    ~age|income_.*    all of it matches this regular expression
    !next             not this value; !~ not this expression

An expression is matched against text that others chose (names of features), so only those are taken
whose cost is bounded: at most 128 characters and 3 quantifiers, no repeated group and no
back-reference. Matching takes at most (length of the text)^3 steps then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

MatcherText = str | tuple[str, ...]
"""A matcher as it is written."""

LONGEST_EXPRESSION: Final = 128
MOST_QUANTIFIERS: Final = 3

_ESCAPED: Final = re.compile(r"\\.")
_CLASS: Final = re.compile(r"\[\^?\]?[^\]]*\]")
_QUANTIFIER: Final = re.compile(r"[*+?]|\{[0-9,]+\}")
_REPEATED_GROUP: Final = re.compile(r"\)(?:[*+?]|\{[0-9,]+\})")
_REFERENCE: Final = re.compile(r"\\[1-9]|\(\?")


def accepts(matcher: MatcherText, value: str) -> bool:
    """Whether a label's value is meant; "" stands for a label that is absent.

    Only for matchers to which there is no `objection`.
    """
    if not isinstance(matcher, str):
        return value in matcher
    if matcher.startswith("!"):
        return not accepts(matcher[1:], value)
    if matcher.startswith("~"):
        return re.fullmatch(matcher[1:], value) is not None
    return matcher == value


def accepts_labels(where: Mapping[str, MatcherText], labels: Mapping[str, str]) -> bool:
    """Whether every matcher takes the value of its label."""
    return all(accepts(matcher, labels.get(label, "")) for label, matcher in where.items())


def objection(matcher: MatcherText) -> str | None:
    """What is wrong with a matcher, in words that follow "found"; None when nothing is."""
    if not isinstance(matcher, str):
        return None if matcher else "an empty list"
    expression = matcher.removeprefix("!")
    if not expression.startswith("~"):
        return None
    return _objection(expression[1:])


def _objection(expression: str) -> str | None:
    if len(expression) > LONGEST_EXPRESSION:
        return f"an expression of {len(expression)} characters"
    if _REFERENCE.search(expression):
        return "a back-reference or an extension `(?`"
    plain = _CLASS.sub("x", _ESCAPED.sub("x", expression))
    if _REPEATED_GROUP.search(plain):
        return "a group that is repeated"
    if len(_QUANTIFIER.findall(plain)) > MOST_QUANTIFIERS:
        return f"more than {MOST_QUANTIFIERS} of `*`, `+`, `?` and `{{n}}`"
    try:
        re.compile(expression)
    except re.error as error:
        return f"no regular expression: {error}"
    return None
