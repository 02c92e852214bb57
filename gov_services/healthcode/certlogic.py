"""CertLogic 1.3 (the EU certificates' rule language) as far as colour rules need it. Pure: no clock, no I/O, no eval.

Left out: `reduce` and the two operations on European certificates.
"""

from __future__ import annotations

import calendar
import datetime as dt
import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any

Expression = Any
Data = Any

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}(?::?\d{2})?)",
)


class LogicRefused(ValueError):
    """The expression is no CertLogic, or means nothing for this data."""


def evaluate(expression: Expression, data: Data) -> Any:
    """What `expression` comes to for `data`. Raises LogicRefused."""
    if isinstance(expression, str | bool | int):
        return expression
    if isinstance(expression, list) and expression:
        return [evaluate(item, data) for item in expression]
    if not isinstance(expression, dict) or len(expression) != 1:
        raise LogicRefused("an expression is a literal, a list or one operation")
    ((operator, operands),) = expression.items()
    if operator == "var":
        return _variable(operands, data)
    if not isinstance(operands, list) or not operands:
        raise LogicRefused(f"`{operator}` takes a list of operands")
    operation = _OPERATIONS.get(operator)
    if operation is None:
        raise LogicRefused(f"`{operator}` is no operation here")
    return operation(operands, data)


def variables(expression: Expression) -> frozenset[str]:
    """Paths that `expression` can read."""
    if isinstance(expression, list):
        return frozenset().union(*(variables(item) for item in expression))
    if isinstance(expression, dict):
        if isinstance(expression.get("var"), str):
            return frozenset({expression["var"]})
        return frozenset().union(*(variables(item) for item in expression.values()))
    return frozenset()


def is_falsy(value: object) -> bool:
    """False, null, the empty text, zero, the empty list, the empty object."""
    return value is None or value is False or value == "" or value == [] or value == {} or _is_zero(value)


def is_truthy(value: object) -> bool:
    """What is neither falsy nor undecided; a date is undecided."""
    if isinstance(value, bool):
        return value
    return isinstance(value, str | int | list | dict) and not is_falsy(value)


def _is_zero(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value == 0


def _variable(path: object, data: Data) -> Any:
    if not isinstance(path, str):
        raise LogicRefused("`var` names a path")
    if path == "":
        return data
    found = data
    for step in path.split("."):
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def _if(operands: list[Expression], data: Data) -> Any:
    if len(operands) != 3:
        raise LogicRefused("`if` takes a guard, a then and an else")
    guard = evaluate(operands[0], data)
    if is_truthy(guard):
        return evaluate(operands[1], data)
    if is_falsy(guard):
        return evaluate(operands[2], data)
    raise LogicRefused("a guard is true or false")


def _and(operands: list[Expression], data: Data) -> Any:
    if len(operands) < 2:
        raise LogicRefused("`and` takes two operands or more")
    value: Any = True
    for operand in operands:
        value = evaluate(operand, data)
        if is_falsy(value):
            return value
        if not is_truthy(value):
            raise LogicRefused("an operand of `and` is true or false")
    return value


def _not(operands: list[Expression], data: Data) -> bool:
    value = evaluate(operands[0], data)
    if is_falsy(value):
        return True
    if is_truthy(value):
        return False
    raise LogicRefused("an operand of `!` is true or false")


def _equal(operands: list[Expression], data: Data) -> bool:
    left, right = _exactly(2, operands, data)
    return type(left) is type(right) and bool(left == right)


def _in(operands: list[Expression], data: Data) -> bool:
    item, items = _exactly(2, operands, data)
    if not isinstance(items, list):
        raise LogicRefused("the second operand of `in` is a list")
    return any(type(item) is type(other) and item == other for other in items)


def _plus(operands: list[Expression], data: Data) -> int:
    left, right = (_number(value) for value in _exactly(2, operands, data))
    return left + right


def _plus_time(operands: list[Expression], data: Data) -> dt.datetime:
    text, amount, unit = _exactly(3, operands, data)
    moment = parse_moment(text)
    count = _number(amount)
    try:
        match unit:
            case "hour":
                return moment + dt.timedelta(hours=count)
            case "day":
                return moment + dt.timedelta(days=count)
            case "month":
                return _plus_months(moment, count)
            case "year":
                return _plus_months(moment, 12 * count)
    except (OverflowError, ValueError) as beyond:
        raise LogicRefused("a date beyond the calendar") from beyond
    raise LogicRefused("a unit of time is year, month, day or hour")


def _plus_months(moment: dt.datetime, months: int) -> dt.datetime:
    """As many months on; what a shorter month lacks runs over into the next, as in the reference implementation."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    length = calendar.monthrange(year, month + 1)[1]
    over = max(0, moment.day - length)
    return moment.replace(year=year, month=month + 1, day=moment.day - over) + dt.timedelta(days=over)


def parse_moment(text: object) -> dt.datetime:
    """A date, which begins at midnight UTC, or a date-time with its zone. Raises LogicRefused."""
    if isinstance(text, dt.datetime):
        return text
    if not isinstance(text, str):
        raise LogicRefused("a date is a text")
    try:
        if date := _DATE.fullmatch(text):
            year, month, day = (int(part) for part in date.groups())
            return dt.datetime(year, month, day, tzinfo=dt.UTC)
        if found := _MOMENT.fullmatch(text):
            whole, fraction, zone = found.groups()
            parsed = dt.datetime.fromisoformat(f"{whole.upper()}{zone.upper()}").astimezone(dt.UTC)
            return parsed.replace(microsecond=int((fraction or "0").ljust(6, "0")[:6]))
    except ValueError as impossible:
        raise LogicRefused("no date of the calendar") from impossible
    raise LogicRefused("not a date")


def _compare(
    check: Callable[[Any, Any], bool], kind: Callable[[object], Any]
) -> Callable[[list[Expression], Data], Any]:
    """A comparison of two values, or of three in a row (`between`)."""

    def compare(operands: list[Expression], data: Data) -> bool:
        if len(operands) not in (2, 3):
            raise LogicRefused("a comparison takes two or three operands")
        values = [kind(evaluate(operand, data)) for operand in operands]
        return all(check(left, right) for left, right in itertools.pairwise(values))

    return compare


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise LogicRefused("a number is a whole number")
    return value


def _moment(value: object) -> dt.datetime:
    if not isinstance(value, dt.datetime):
        raise LogicRefused("dates are made by `plusTime`")
    return value


def _exactly(count: int, operands: list[Expression], data: Data) -> list[Any]:
    if len(operands) != count:
        raise LogicRefused(f"{count} operands are needed")
    return [evaluate(operand, data) for operand in operands]


_OPERATIONS: Mapping[str, Callable[[list[Expression], Data], Any]] = {
    "if": _if,
    "and": _and,
    "!": _not,
    "===": _equal,
    "in": _in,
    "+": _plus,
    "plusTime": _plus_time,
    "<": _compare(lambda left, right: left < right, _number),
    "<=": _compare(lambda left, right: left <= right, _number),
    ">": _compare(lambda left, right: left > right, _number),
    ">=": _compare(lambda left, right: left >= right, _number),
    "before": _compare(lambda left, right: left < right, _moment),
    "not-after": _compare(lambda left, right: left <= right, _moment),
    "after": _compare(lambda left, right: left > right, _moment),
    "not-before": _compare(lambda left, right: left >= right, _moment),
}
