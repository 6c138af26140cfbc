"""`Rights`: what an actor may read, in a form that goes into the SQL: rows by filters, fields by the same filters.

A collection's rights are grants, one for each policy that has some. A row is visible where the filter of one of them
holds; a field of it where one of those that grant the field does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datastead.data.filters import EVERYTHING, Filter
from datastead.data.schema import Collection
from datastead.errors import Forbidden

NO_FILTER = Filter(EVERYTHING, [])


@dataclass(frozen=True, slots=True)
class Grant:
    """What one policy grants. fields: None = all. filter: of the rows."""

    fields: frozenset[str] | None = None
    filter: Filter = NO_FILTER

    @property
    def is_unlimited(self) -> bool:
        """Whether it is about every row."""
        return self.filter.node == EVERYTHING

    def has(self, name: str) -> bool:
        return self.fields is None or name in self.fields


@dataclass(frozen=True, slots=True)
class Rule:
    """The grants for one collection, at least one."""

    grants: tuple[Grant, ...]

    def has(self, name: str) -> bool:
        """Whether the field is visible in some row at least."""
        return any(grant.has(name) for grant in self.grants)

    def rows(self) -> tuple[int, ...] | None:
        """The grants of which one has to hold for a row to be visible; None = every row is."""
        return self._limits(range(len(self.grants)))

    def guard(self, name: str) -> tuple[int, ...] | None:
        """The grants of which one has to hold for the field of a visible row to be visible; None = it always is."""
        granting = [number for number, grant in enumerate(self.grants) if grant.has(name)]
        return None if len(granting) == len(self.grants) else self._limits(granting)

    def _limits(self, numbers: Sequence[int]) -> tuple[int, ...] | None:
        return None if any(self.grants[number].is_unlimited for number in numbers) else tuple(numbers)


class Signature:
    """A value that is compared often: its hash is worked out once."""

    __slots__ = ("_hash", "_value")

    def __init__(self, value: Any) -> None:
        self._value = value
        self._hash = hash(value)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signature) and self._value == other._value


@dataclass(frozen=True, slots=True)
class Rights:
    """What an actor may read. rules: by collection; what is not in them may not be read at all.

    signature: tells apart rights whose SQL is not the same; values of filters do not count.
    """

    rules: Mapping[str, Rule]
    signature: Signature

    def rule(self, collection: Collection) -> Rule:
        """Raises `Forbidden` where there is none."""
        found = self.rules.get(collection.name)
        if found is None:
            reason = f"The collection `{collection.name}` does not exist, or you are not allowed to see it."
            raise Forbidden(reason, reason=reason, collection=collection.name)
        return found

    def value(self, collection: str, grant: int, number: int) -> Any:
        """A value of a filter."""
        return self.rules[collection].grants[grant].filter.values[number]
