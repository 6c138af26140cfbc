"""PostgreSQL over psycopg 3. Rows come as text where Python's types hold less than the database's (dates, numerics)."""

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import psycopg
import sqlalchemy as sa
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import TextLoader
from sqlalchemy.dialects.postgresql import psycopg as sa_psycopg
from sqlalchemy.pool import NullPool

from datastead.data.links import Prepared, connected, has_something_to_read, refuse_commits
from datastead.errors import ServiceUnavailable

CONNECT_TIMEOUT_S = 10
STATEMENTS_PREPARED = 300
FIRST_RENEWAL = 8  # statements
CONFLICTS = {"40P01", "40001"}
BARE = ("COMMIT", "SAVEPOINT", "RELEASE")
"""Commands that psycopg need not know of; after a ROLLBACK it forgets which statements it has prepared."""
SESSION = """
    SET TIME ZONE 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET lock_timeout = '30s'
"""
AS_TEXT = (
    "date", "time", "timetz", "timestamp", "timestamptz", "interval", "numeric", "uuid", "json", "jsonb", "inet",
    "cidr",
    "int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange",
    "int4multirange", "int8multirange", "nummultirange", "datemultirange", "tsmultirange", "tstzmultirange",
)  # fmt: skip


class PostgresqlLink:
    """One psycopg connection in autocommit mode: transactions are begun and ended by us."""

    def __init__(self, raw: "psycopg.Connection[Any]", connection: sa.Connection) -> None:
        self._raw = raw
        self._connection = connection
        self._cursor = psycopg.RawCursor(raw)
        self._statements, self._renews_at = 0, FIRST_RENEWAL
        for name in AS_TEXT:
            self._cursor.adapters.register_loader(name, TextLoader)
        self._cursor.adapters.register_dumper(int, Int8Dumper)

    @property
    def connection(self) -> sa.Connection:
        return self._connection

    @property
    def tables(self) -> sa.Connection:
        return self._connection

    @property
    def undo(self) -> None:
        return None

    @property
    def is_broken(self) -> bool:
        """A socket that can be read while nothing was asked has the server's good-bye on it."""
        return self._raw.closed or (not self.in_transaction and has_something_to_read(self._raw))

    @property
    def in_transaction(self) -> bool:
        return self._raw.info.transaction_status != psycopg.pq.TransactionStatus.IDLE

    def begin(self, *, write: bool) -> None:
        try:
            self._command(b"BEGIN" if write else b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        except psycopg.OperationalError as error:
            raise ServiceUnavailable("The database is not available.") from error

    def control(self, sql: str) -> None:
        try:
            if sql.startswith(BARE):
                self._command(sql.encode())
            else:
                self._cursor.execute(sql.encode())
        except psycopg.Error as error:
            raise _as_sqlalchemy(sql, error) from error

    def _command(self, sql: bytes) -> None:
        """What has no parameters and no rows, past the cursor, which takes three times as long for it."""
        try:
            result = self._raw.pgconn.exec_(sql)
        except MemoryError:  # what psycopg makes of no answer at all
            raise psycopg.OperationalError("The connection is lost.") from None
        if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(result)

    def fetch(self, prepared: Prepared, parameters: Mapping[str, Any] | list[Any]) -> list[tuple[Any, ...]]:
        values = prepared.arrange(parameters)
        self._statements += 1
        try:
            if self._statements >= self._renews_at:
                self._renew_plans()
            return self._run(prepared.sql, values)
        except psycopg.errors.FeatureNotSupported as error:
            # a plan that the server keeps is of before a change of the table: plans are dropped, and made anew
            if self.in_transaction or "cached plan" not in str(error):
                raise _as_sqlalchemy(prepared.sql, error) from error
            self.control("DEALLOCATE ALL")
            return self._run(prepared.sql, values)
        except (psycopg.Error, UnicodeEncodeError) as error:
            raise _as_sqlalchemy(prepared.sql, error) from error

    def _renew_plans(self) -> None:
        """Plans of when a table was small read all of it, those of foreign keys for each row that is written.

        The server keeps a plan until it has counted the table again, which may take a minute or more: so plans are made
        anew after twice as many statements each time.
        """
        self._renews_at *= 2
        self._command(b"DISCARD PLANS")

    def _run(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        cursor = self._cursor.execute(sql.encode(), values)
        return cursor.fetchall() if cursor.description is not None else []

    def is_conflict(self, error: Exception) -> bool:
        return isinstance(error, sa.exc.DBAPIError) and getattr(error.orig, "sqlstate", None) in CONFLICTS

    def begin_alteration(self) -> None:
        """DDL is transactional here. A lock that others hold is not waited for without end: it would stop everybody."""
        self.begin(write=True)
        self.control("SET LOCAL lock_timeout = '10s'")

    def end_alteration(self, *, commit: bool) -> None:
        self.control("COMMIT" if commit else "ROLLBACK")

    def close(self) -> None:
        self._connection.invalidate()
        self._connection.close()


class PostgresqlDriver:
    """Opens links to one database."""

    name: ClassVar[str] = "postgresql"
    readers: ClassVar[int] = 8
    writers: ClassVar[int] = 8
    brief: ClassVar[None] = None

    def __init__(self, url: sa.URL, read_timeout_s: float = 0) -> None:
        self._read_timeout_s = read_timeout_s
        self._url = self.listening_url = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._opened = threading.local()
        self._opening = threading.Lock()
        self.dialect = sa_psycopg.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
        self._engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=lambda: self._opened.raw,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
        )
        refuse_commits(self._engine)

    def connect(self, *, write: bool) -> PostgresqlLink:
        try:
            raw = psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
            raw.execute(SESSION)
            if self._read_timeout_s and not write:
                raw.execute(f"SET statement_timeout = {round(self._read_timeout_s * 1000)}".encode())
        except psycopg.OperationalError as error:
            raise ServiceUnavailable(f"The database cannot be reached: {_reason(error)}.") from error
        raw.prepared_max = STATEMENTS_PREPARED
        with self._opening:  # SQLAlchemy looks at the server once, with the first connection
            self._opened.raw = raw
            return PostgresqlLink(raw, connected(self._engine))

    def timestamp(self, moment: datetime) -> str:
        return moment.astimezone(UTC).isoformat(sep=" ")

    def close(self) -> None:
        self._engine.dispose()


def _reason(error: psycopg.Error) -> str:
    """What the server or the network said, on one line. It names host and user, never the password."""
    return " ".join(str(error).split())


def _as_sqlalchemy(sql: str, error: Exception) -> Exception:
    if not isinstance(error, psycopg.Error):
        error = psycopg.DataError(str(error))
    return sa.exc.DBAPIError.instance(sql, None, error, psycopg.Error, hide_parameters=True)
