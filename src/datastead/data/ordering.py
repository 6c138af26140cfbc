"""What items are sorted by: a field, a function of one, or what either is of a related item. Pure."""

from collections.abc import Sequence

import sqlalchemy as sa

from datastead.data.functions import call_of
from datastead.data.schema import Field
from datastead.data.sources import Column, Source, refused
from datastead.errors import InvalidQuery


def sorted_by(source: Source, name: str) -> Column:
    """The order by a path: `-author.name`, `year(date)`, `comments.text`. Nulls are the largest.

    Where a path leads to several items, it is the first of them in this order that counts.
    """
    column, is_nullable = _value(source, name.removeprefix("-").split("."), is_falling=name.startswith("-"))
    if name.startswith("-"):
        return column.desc().nulls_first() if is_nullable else column.desc()
    return column.asc().nulls_last() if is_nullable else column.asc()


def _value(
    source: Source, path: Sequence[str], *, is_falling: bool, has_joined: bool = False, has_turned: bool = False
) -> tuple[Column, bool]:
    """The value at the end of the path, and whether it may be null.

    has_joined: whether the way to the source was over one item. has_turned: whether it led from one item to several
    before. Each such turn multiplies the rows to look at by as many as refer to the same item.
    """
    name, rest = path[0], path[1:]
    call = call_of(name) if not rest else None
    item = source.field(call.field if call is not None else name.partition(":")[0])
    if item.is_alias and has_joined and has_turned:
        raise refused(f"`{item.name}` is sorted by over related items that lead to several others a second time")
    if not rest:
        return _own(source, name)
    if item.is_alias:
        return _of_first(source, item, rest, is_falling=is_falling, has_turned=has_joined or has_turned), True
    joined = source.join(name)
    return _value(joined, rest, is_falling=is_falling, has_joined=True, has_turned=has_turned)[0], True


def _own(source: Source, name: str) -> tuple[Column, bool]:
    call = call_of(name)
    if call is not None:
        return source.call(call), True
    item = source.field(name)
    if item.column is None or item.is_concealed or item.type in {"json", "binary"}:
        reason = f"`{name[:100]}` cannot be sorted by"
        raise InvalidQuery(f"{reason}.", reason=reason)
    return source.column(item.name), item.column.is_nullable or source.rule is not None


def _of_first(source: Source, item: Field, path: Sequence[str], *, is_falling: bool, has_turned: bool) -> Column:
    """The value of that of the related items that comes first."""
    relation = source.schema.inverse(source.collection.name, item.name)
    if relation is None:
        raise refused(f"`{item.name}` of `{source.collection.name}` holds nothing that can be sorted by")
    inner, tie = source.owned(relation, "sorted")
    value, _ = _value(inner, path, is_falling=is_falling, has_turned=has_turned)
    order = value.desc().nulls_last() if is_falling else value.asc().nulls_last()
    found = sa.select(value).select_from(inner.joined).where(tie).order_by(order).limit(sa.literal_column("1"))
    return found.correlate(source.table).scalar_subquery()
