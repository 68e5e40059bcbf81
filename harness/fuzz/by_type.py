"""Draw a value for a field by the field's type, so that a new field of a case is drawn, too."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Len
from typing_extensions import is_typeddict

from harness.case.alternatives import ChosenBy
from harness.fuzz.source import Source, one_in, one_of, whole

SPREAD = 3
"""Maximum distance of a whole number from its least value."""

TENTHS = tuple(n / 10 for n in (10, *range(1, 10), *range(11, 21)))
"""Positive numbers with one decimal, 1.0 first: short in a file."""


class NotDrawn(TypeError):
    """A field has an unknown type and no rule of its own."""


@cache
def hints(of: Any) -> dict[str, Any]:
    """Return the types of the fields of a dataclass, or of the keys of a TypedDict, by name."""
    return get_type_hints(of, include_extras=True)


def members(annotation: Any) -> Mapping[str, Any]:
    """Return the alternatives of a field of several kinds, by name; none if it has one kind."""
    chosen = [each for each in getattr(annotation, "__metadata__", ()) if isinstance(each, ChosenBy)]
    return chosen[0].members if chosen else {}


def is_required(of: Any, name: str) -> bool:
    """Return whether a TypedDict must have a key; the class itself does not know if its annotations are strings."""
    origin = get_origin(hints(of)[name])
    return origin is not NotRequired and (origin is Required or bool(of.__total__))


@cache
def options(literal: Any, default: Any = dataclasses.MISSING) -> tuple[Any, ...]:
    """Return the values of a Literal, the default first if it has one."""
    return tuple(sorted(get_args(literal), key=lambda each: each != default))


def of_type(source: Source, annotation: Any, default: Any = dataclasses.MISSING) -> Any:
    """Choose a value of a type.

    Args:
        source: The source of the choices.
        annotation: The type, with its constraints.
        default: The default of the field; the simplest among the values of a Literal.

    Raises:
        NotDrawn: If no field of a case has had this type so far.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return one_of(source, options(annotation, default))
    if annotation is bool:
        return one_in(source, 2)
    if alternatives := members(annotation):
        return of_type(source, one_of(source, list(alternatives.values())))
    if origin is Annotated:
        return _constrained(source, arguments[0], arguments[1:])
    if origin in (NotRequired, Required):
        return of_type(source, arguments[0])
    if origin in (Union, types.UnionType):
        given = [each for each in arguments if each is not types.NoneType]
        if len(given) < len(arguments) and not one_in(source, 2):
            return None
        return of_type(source, one_of(source, given))
    if is_typeddict(annotation):
        return {
            name: of_type(source, each)
            for name, each in hints(annotation).items()
            if is_required(annotation, name) or one_in(source, 2)
        }
    raise NotDrawn(f"nothing draws values of {annotation}; write a rule for the field in harness/fuzz/drawing.py")


def _constrained(source: Source, annotation: Any, constraints: tuple[Any, ...]) -> Any:
    least = next((each.ge for each in constraints if isinstance(each, Ge)), None)
    above = next((each.gt for each in constraints if isinstance(each, Gt)), None)
    if annotation is int and isinstance(least, int):
        return whole(source, least, least + SPREAD)
    if annotation is float and (least, above) != (None, None):
        return one_of(source, TENTHS)
    if any(isinstance(each, Len) for each in constraints):
        raise NotDrawn(f"nothing draws lists of {annotation}; write a rule for the field in harness/fuzz/drawing.py")
    return of_type(source, annotation)
