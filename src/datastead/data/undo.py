"""`UndoLog`: how changes of tables are undone where the database commits each at once, as MariaDB does.

Before a table is changed, a row of `datastead_alterations` says which statements undo it, and which remove what was
only set aside. The rows are accepted in the transaction of everything else that the change writes. So who comes after
a crash knows what to do: what was accepted is tidied up, and what was not is undone, the last step first.
"""

import logging
from collections.abc import Sequence
from hashlib import sha1
from uuid import uuid4

import orjson
import sqlalchemy as sa

from datastead.data import system
from datastead.errors import ServiceUnavailable

log = logging.getLogger(__name__)

WAIT_S = 30

_TABLE = sa.Table(
    "datastead_alterations", sa.MetaData(),
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True), sa.Column("alteration", sa.CHAR(36)),
    sa.Column("is_accepted", sa.Boolean, nullable=False), sa.Column("undoing", sa.Text, nullable=False),
    sa.Column("tidying", sa.Text, nullable=False),
)  # fmt: skip


class UndoLog:
    """The log of one change. Whoever has it is the only one to change tables, among all processes."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._alteration = str(uuid4())

    @classmethod
    def open(cls, connection: sa.Connection) -> "UndoLog":
        """Waits for its turn, and settles what a process that died has left. connection: commits each statement.

        Raises `ServiceUnavailable`.
        """
        database = connection.execute(sa.select(sa.func.database())).scalar()
        name = "datastead_" + sha1(str(database).encode(), usedforsecurity=False).hexdigest()
        if connection.execute(sa.select(sa.func.get_lock(name, WAIT_S))).scalar() != 1:
            raise ServiceUnavailable("The schema is being changed by somebody else: try again.")
        _TABLE.create(connection, checkfirst=True)
        opened = cls(connection)
        opened.settle()
        return opened

    def note(self, undo: Sequence[str], after: Sequence[str] = ()) -> None:
        """What undoes the statement that comes next, and what has to be done when all is over.

        Each of them has to do nothing where there is nothing to do: it may run twice, or for what never happened.
        """
        row = {"alteration": self._alteration, "is_accepted": False, "undoing": _text(undo), "tidying": _text(after)}
        self._connection.execute(sa.insert(_TABLE).values(row))

    def accept(self, connection: sa.Connection) -> None:
        """Says that the change is to stay, with the commit of the connection's transaction."""
        own = _TABLE.c.alteration == self._alteration
        connection.execute(sa.update(_TABLE).where(own).values(is_accepted=True))

    def settle(self) -> None:
        """Tidies up after what was accepted, and undoes what was not. Waits for those who are about to accept.

        Raises `ServiceUnavailable` where something cannot be undone now; it is tried again with the next change.
        """
        rows = self._connection.execute(sa.select(_TABLE).order_by(_TABLE.c.id.desc()).with_for_update()).all()
        for row in rows:
            if not row.is_accepted:
                self._undo(orjson.loads(row.undoing))
                self._forget(row.id)
        if not all(row.is_accepted for row in rows):
            self._tell()
        for row in reversed(rows):
            if row.is_accepted and self._tidied(orjson.loads(row.tidying)):
                self._forget(row.id)

    def _undo(self, statements: Sequence[str]) -> None:
        for statement in statements:
            try:
                run(self._connection, statement)
            except sa.exc.DBAPIError as error:
                log.exception("A change of the schema that was not finished cannot be undone: %s", statement)
                raise ServiceUnavailable(
                    "A change of the schema that was not finished cannot be undone now: see the log, and try again."
                ) from error

    def _tidied(self, statements: Sequence[str]) -> bool:
        """Whether nothing is left of what was set aside. It stands in nobody's way: it can wait for the next time."""
        try:
            for statement in statements:
                run(self._connection, statement)
        except sa.exc.DBAPIError:
            log.exception("What a change of the schema has set aside cannot be dropped now.")
            return False
        return True

    def _forget(self, row: int) -> None:
        self._connection.execute(sa.delete(_TABLE).where(_TABLE.c.id == row))

    def _tell(self) -> None:
        """Others may have seen what was undone."""
        versions = system.versions
        more = sa.update(versions).where(versions.c.name == "schema").values(version=versions.c.version + 1)
        self._connection.execute(more)


def run(connection: sa.Connection, statement: str) -> None:
    """Runs a statement without parameters, as it stands."""
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _text(statements: Sequence[str]) -> str:
    return orjson.dumps(list(statements)).decode()
