# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What one value from outside must be, and what to give instead: the check of every document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
import math
import textwrap
from typing import Any, Generic, TypeVar

Value = TypeVar('Value', bool, int, float, str)

_SHOWN = 120  # Characters of a value in a message.
_KINDS: dict[type, str] = {bool: 'true or false', int: 'a whole number', float: 'a number',
                           str: 'text'}


class FieldError(ValueError):
    """
    A field that cannot be used.

    :ivar path: of its name, from the outermost section; empty where a name itself is wrong.
    :ivar problem: 'give ...', what it must be.
    :ivar value: what it is.
    """

    def __init__(self, path: tuple[str, ...], problem: str, value: object) -> None:
        super().__init__(': '.join((*path, problem)))
        self.path, self.problem, self.value = path, problem, value

    def of_file(self, file: object) -> str:
        """Return one line that names a file, the field in it, its value and what to give."""
        if not self.path:
            return f'{file}: field {self.problem}'
        section = f"'{self.path[0]}': " if len(self.path) > 1 else ''
        value = textwrap.shorten(repr(self.value), _SHOWN)
        return f"{file}: field {section}'{'.'.join(self.path)}' is {value}: {self.problem}"


@dataclass(frozen=True)
class Rule(Generic[Value]):
    """
    What a value must be. A whole number is taken for a float, nothing else is converted.

    :ivar low: the smallest allowed; the first that is not, where it is ``open``.
    :ivar high: the largest allowed. Floats are finite whatever the bounds.
    :ivar choices: the only values allowed, where there are any.
    :ivar unit: of the bounds, for the message.
    """

    kind: type[Value]
    low: float = -math.inf
    high: float = math.inf
    open: bool = False  # noqa: A003
    choices: tuple[Value, ...] = ()
    unit: str = ''

    def checked(self, value: object) -> Value:
        """
        Return the value, of its kind.

        :raises ValueError: 'give ...', what it must be.
        """
        if self.kind is float and type(value) is int:
            # Beyond any float it is as much out of range as infinity.
            value = float(value) if abs(value) < 1e308 else math.inf
        if not isinstance(value, self.kind) or isinstance(value, bool) and self.kind is not bool:
            raise ValueError(f'give {self.wanted}')
        if self.choices and value not in self.choices:
            raise ValueError(f'give {self.wanted}')
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            # Written so that NaN is refused.
            inside = self.low < value if self.open else self.low <= value
            if not (inside and value <= self.high and value not in (math.inf, -math.inf)):
                raise ValueError(f'give {self.wanted}')
        return value

    @property
    def wanted(self) -> str:
        """Return what the value must be, in words."""
        if self.choices:
            return f'one of {", ".join(map(str, self.choices))}'
        words = _KINDS[self.kind]
        if math.isfinite(self.low) and math.isfinite(self.high) and not self.open:
            words += f' from {self._bound(self.low)} to {self._bound(self.high)}'
        elif math.isfinite(self.low):
            low, high = self._bound(self.low), self._bound(self.high)
            words += f' above {low}' if self.open else f' of at least {low}'
            words += f' and at most {high}' if math.isfinite(self.high) else ''
        return f'{words} {self.unit}'.rstrip()

    def _bound(self, value: float) -> str:
        # Of whole numbers all digits: 2.14748e+09 is beyond 2147483647.
        return f'{value:.0f}' if self.kind is int else f'{value:g}'


@dataclass(frozen=True)
class ListRule(Generic[Value]):
    """
    What a list of values must be.

    :ivar each: what each value must be.
    """

    each: Rule[Value]

    def checked(self, values: object) -> tuple[Value, ...]:
        """
        Return the values.

        :raises ValueError: 'give ...', what they must be.
        """
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            raise ValueError(f'give {self.wanted}')
        try:
            return tuple(self.each.checked(value) for value in values)
        except ValueError:
            raise ValueError(f'give {self.wanted}') from None

    @property
    def unit(self) -> str:
        """Return the unit of each."""
        return self.each.unit

    @property
    def wanted(self) -> str:
        """Return what the values must be, in words."""
        return f'a list, each {self.each.wanted}'


def as_number(rule: Rule[float]) -> Callable[[Any], float]:
    """Return what reads a number of YAML, which takes 1e-4, without a dot, for text."""
    def read(value: Any) -> float:
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                raise ValueError(f'give {rule.wanted}') from None
        return rule.checked(value)
    return read


def as_whole(rule: Rule[int]) -> Callable[[Any], int]:
    """Return what reads a whole number of YAML, written as 640.0 too."""
    def read(value: Any) -> int:
        return rule.checked(int(value) if isinstance(value, float) and value.is_integer()
                            else value)
    return read


def as_real(value: object) -> float | None:
    """
    Return one number of any library's, of NumPy and torch too, as a float; may be infinite.

    None for all else: text, several numbers, NaN, and what is true or false, which Python would
    take for 1 or 0.
    """
    if isinstance(value, (bool, str, bytes)) or 'bool' in str(getattr(value, 'dtype', '')) \
            or getattr(value, 'ndim', 0) != 0:
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(number) else number


def object_of(values: object) -> dict[str, Any]:
    """
    Return a JSON object.

    :raises ValueError: if it is none.
    """
    if not isinstance(values, dict):
        raise ValueError('give an object')
    return dict(values)


def checked_fields(values: object, convert: Mapping[str, Callable[[Any], Any]]
                   ) -> dict[str, Any]:
    """
    Return a JSON object with its fields converted.

    :param convert: by field; raises ValueError on a value that cannot be used.
    :raises FieldError: names the field that cannot be used, or that is not known.
    """
    result = object_of(values)
    for name, value in result.items():
        if name not in convert:
            raise FieldError((), f"'{name}' is none of its fields: {known_fields(name, convert)}",
                             value)
        try:
            result[name] = convert[name](value)
        except FieldError as error:
            raise FieldError((name, *error.path), error.problem, error.value) from error
        except (TypeError, ValueError, ArithmeticError) as error:
            raise FieldError((name,), str(error), value) from error
    return result


def known_fields(name: object, known: Iterable[str]) -> str:
    """Return the fields that there are, and which of them an unknown one may be meant to be."""
    known = [*known]
    return ', '.join(known) + meant(str(name), known)


def meant(word: str, known: Iterable[str], nearness: float = 0.6) -> str:
    """
    Return '; did you mean ...?' of the nearest known word, '' where none is near.

    :param nearness: from which on a word counts as near, 0..1.
    """
    near = get_close_matches(word, [*known], 1, nearness)
    return f"; did you mean '{near[0]}'?" if near else ''
