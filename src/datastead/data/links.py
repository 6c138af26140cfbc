"""`Link`: one connection to the database, used by one thread at a time; `Driver`: how a dialect opens and compiles.

`sqlite.py`, `postgresql.py` and `mariadb.py` are those that there are. Everything above them is the same for all.
"""

import select
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect

if TYPE_CHECKING:
    from datastead.data.undo import UndoLog

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Prepared:
    """SQL as the driver takes it, made once per shape of statement.

    names: the order of the parameters. values: those that the statement itself holds. pick: takes the parameters out of
    a mapping, where all of them come in one.
    """

    sql: str
    names: tuple[str, ...]
    values: Mapping[str, Any] = field(default_factory=dict)
    pick: Callable[[Mapping[str, Any]], tuple[Any, ...]] | None = None

    def arrange(self, parameters: Mapping[str, Any] | list[Any]) -> Sequence[Any]:
        """The values in the driver's order. parameters: by name, or in that order already."""
        if isinstance(parameters, list):
            return parameters
        if self.pick is not None:
            return self.pick(parameters)
        return [parameters[name] if name in parameters else self.values[name] for name in self.names]


Fetch = Callable[[Prepared, Mapping[str, Any] | list[Any]], list[tuple[Any, ...]]]
"""Runs prepared SQL: `Link.fetch`, wherever that is."""


class Brief(Protocol):
    """Reading on the caller's own thread, for as long as that is short."""

    def attempt(self, work: Callable[[Fetch], T], shape: Hashable) -> tuple[T] | None:
        """What the work gives; None where it has to be done elsewhere, as it takes too long here."""


class Link(Protocol):
    """An open connection. Statements outside `begin` … `commit` stand alone."""

    @property
    def connection(self) -> sa.Connection:
        """SQLAlchemy's view of the same connection. It must not be committed through that."""

    @property
    def tables(self) -> sa.Connection:
        """Where tables are changed in an alteration: the same connection, or one beside it."""

    @property
    def undo(self) -> "UndoLog | None":
        """In an alteration, where the database does not undo changes of tables by itself: what says how."""

    @property
    def is_broken(self) -> bool:
        """Whether the server has gone, so that a new link is needed."""

    @property
    def in_transaction(self) -> bool: ...

    def begin(self, *, write: bool) -> None: ...

    def control(self, sql: str) -> None:
        """COMMIT, ROLLBACK, SAVEPOINT and the like."""

    def fetch(self, prepared: Prepared, parameters: Mapping[str, Any] | list[Any]) -> list[tuple[Any, ...]]:
        """Rows as the driver gives them. Errors are SQLAlchemy's (`sa.exc.DBAPIError`), as those of `connection`."""

    def is_conflict(self, error: Exception) -> bool:
        """Whether a transaction was undone because of another one, so that it may go well when it is tried again."""

    def begin_alteration(self) -> None:
        """Begins a transaction in which tables may be rebuilt."""

    def end_alteration(self, *, commit: bool) -> None: ...

    def close(self) -> None: ...


class Driver(Protocol):
    """What differs between databases."""

    name: ClassVar[str]
    readers: ClassVar[int]
    writers: ClassVar[int]

    @property
    def dialect(self) -> DefaultDialect: ...

    @property
    def brief(self) -> Brief | None: ...

    @property
    def listening_url(self) -> str | None:
        """Where a connection may `LISTEN`; None where there is no such thing."""

    def connect(self, *, write: bool) -> Link: ...

    def timestamp(self, moment: datetime) -> Any: ...

    def close(self) -> None: ...


def has_something_to_read(socket: Any) -> bool:
    """Whether reading would not wait. Unlike `select`, poll knows sockets beyond the first 1,024 of a process."""
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


def connected(engine: sa.Engine) -> sa.Connection:
    """SQLAlchemy's view of the connection that the engine's creator gives.

    It is in a transaction for ever, as SQLAlchemy sees it: our own BEGIN and COMMIT pass it by, and nobody (Alembic
    does, where it finds none) begins one through it, whose end would commit ours.
    """
    connection = engine.connect()
    connection.begin()
    return connection


def refuse_commits(engine: sa.Engine) -> None:
    """Whoever commits through SQLAlchemy would end a transaction that is ours."""

    @sa.event.listens_for(engine, "commit")
    def refuse(_: sa.Connection) -> None:
        raise RuntimeError("The transaction is ended by `Database`, and by nobody else.")


def prepare(dialect: DefaultDialect, statement: sa.ClauseElement, columns: Sequence[str] | None) -> Prepared:
    """Compiles for the dialect. columns: of an INSERT or UPDATE without values, those that will be given."""
    compiled = statement.compile(
        dialect=dialect, column_keys=list(columns) if columns else None, compile_kwargs={"render_postcompile": True}
    )
    assert isinstance(compiled, sa.Compiled)
    names = tuple(getattr(compiled, "positiontup", None) or ())
    values = {name: value for name, value in compiled.params.items() if value is not None}
    return Prepared(compiled.string, names, values, itemgetter(*names) if len(names) > 1 and not values else None)
