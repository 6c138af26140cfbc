"""MariaDB over PyMySQL. Rows come as text where Python's types hold less than the database's (dates, numerics).

MariaDB commits at each change of a table, whatever transaction it is in. So these run on a connection of their own,
and an `UndoLog` says how each of them is undone.
"""

import contextlib
import logging
import re
import ssl
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar

import pymysql
import sqlalchemy as sa
from pymysql.constants import CLIENT, FIELD_TYPE, SERVER_STATUS
from pymysql.converters import conversions
from sqlalchemy.pool import NullPool

from datastead.data.links import Prepared, connected, has_something_to_read, refuse_commits
from datastead.data.mariadb_dialect import MariadbDialect
from datastead.data.mariadb_reflection import COLLATION
from datastead.data.undo import UndoLog
from datastead.errors import InvalidSettings, ServiceUnavailable

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10
LOCK_WAIT_S = 30
ALTERATION_WAIT_S = 10
OLDEST = (10, 6)
DEADLOCK = 1213
SQL_MODE = (
    "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION,"
    "NO_AUTO_VALUE_ON_ZERO"
)
SESSION = (
    f"SET time_zone = '+00:00', sql_mode = '{SQL_MODE}', innodb_lock_wait_timeout = {LOCK_WAIT_S},"
    f" lock_wait_timeout = {LOCK_WAIT_S}"
)
ISOLATION = {
    True: "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    False: "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
}
"""Of those that write, and of those that only read: these see one state of the database in a transaction."""

_VERSION = re.compile(r"(?:5\.5\.5-)?(\d+)\.(\d+)\.\d+-MariaDB", re.IGNORECASE)
_DECODERS = {kind: decode for kind, decode in conversions.items() if isinstance(kind, int)}


def _bits(value: bytes | None) -> int | None:
    return None if value is None else int.from_bytes(value)


_AS_TEXT: dict[int, Any] = {
    **_DECODERS,
    **dict.fromkeys((
        FIELD_TYPE.DATE, FIELD_TYPE.TIME, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP, FIELD_TYPE.DECIMAL,
        FIELD_TYPE.NEWDECIMAL,
    )),
    FIELD_TYPE.BIT: _bits,
}  # fmt: skip
"""How values are read where rows are raw: moments and numerics stay text."""


class _Raw(pymysql.Connection):
    """A connection that answers nothing more once a deadlock has undone its transaction, until that is rolled back.

    MariaDB itself would go on, and commit what comes after as if nothing had been lost.
    """

    is_undone = False
    server_status: int

    @property
    def socket(self) -> Any:
        """Its socket, which PyMySQL has under a name of its own."""
        return self._sock  # type: ignore[attr-defined]  # the stubs leave it out

    def _create_ssl_ctx(self, options: dict[str, Any]) -> ssl.SSLContext:
        """PyMySQL reads the system's certificates for each connection, which takes 50 ms, also where it checks none."""
        return super()._create_ssl_ctx(options) if options else _encrypting()  # type: ignore[misc]  # as above

    def query(self, sql: Any, unbuffered: bool = False) -> int:
        if self.is_undone:
            raise pymysql.err.OperationalError(DEADLOCK, "The transaction has been undone by a deadlock.")
        try:
            return super().query(sql, unbuffered)
        except pymysql.err.OperationalError as error:
            self.is_undone = error.args[0] == DEADLOCK
            raise


@cache
def _encrypting() -> ssl.SSLContext:
    """Encrypts, and checks no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class MariadbLink:
    """One PyMySQL connection in autocommit mode: transactions are begun and ended by us."""

    def __init__(self, raw: _Raw, connection: sa.Connection, driver: "MariadbDriver") -> None:
        self._raw = raw
        self._connection = connection
        self._driver = driver
        self._cursor = raw.cursor()
        self._beside: MariadbLink | None = None
        self.undo: UndoLog | None = None

    @property
    def connection(self) -> sa.Connection:
        return self._connection

    @property
    def tables(self) -> sa.Connection:
        return self._connection if self._beside is None else self._beside.connection

    @property
    def is_broken(self) -> bool:
        """A socket that can be read while nothing was asked has the server's good-bye on it."""
        if not self._raw.open:
            return True
        return not self.in_transaction and has_something_to_read(self._raw.socket)

    @property
    def in_transaction(self) -> bool:
        is_open = self._raw.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS
        return bool(self._raw.open and (is_open or self._raw.is_undone))

    def begin(self, *, write: bool) -> None:
        try:
            self._raw.query("START TRANSACTION" if write else "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        except pymysql.MySQLError as error:
            raise ServiceUnavailable("The database is not available.") from error

    def control(self, sql: str) -> None:
        try:
            if sql == "ROLLBACK":
                self._raw.is_undone = False
            self._raw.query(sql)
        except pymysql.MySQLError as error:
            raise _as_sqlalchemy(sql, error) from error

    def fetch(self, prepared: Prepared, parameters: Mapping[str, Any] | list[Any]) -> list[tuple[Any, ...]]:
        self._raw.decoders = _AS_TEXT
        try:
            self._cursor.execute(prepared.sql, prepared.arrange(parameters))
            return list(self._cursor.fetchall()) if self._cursor.description is not None else []
        except (pymysql.MySQLError, UnicodeEncodeError) as error:
            raise _as_sqlalchemy(prepared.sql, error) from error
        finally:
            self._raw.decoders = _DECODERS

    def is_conflict(self, error: Exception) -> bool:
        """A deadlock: the whole transaction was undone, and goes well when it is tried again."""
        return isinstance(error, sa.exc.DBAPIError) and error.orig is not None and error.orig.args[:1] == (DEADLOCK,)

    def begin_alteration(self) -> None:
        """Tables are changed on a second connection, which has the only right to do so until the end."""
        beside = self._driver.connect(write=True)
        try:
            beside.control(f"SET lock_wait_timeout = {ALTERATION_WAIT_S}")
            self.undo = UndoLog.open(beside.connection)
            self.begin(write=True)
        except BaseException:
            self.undo = None
            beside.close()
            raise
        self._beside = beside

    def end_alteration(self, *, commit: bool) -> None:
        """The rows commit first. Then what the change has left behind goes; or what it has done to tables is undone."""
        undo, beside = self.undo, self._beside
        assert undo is not None
        assert beside is not None
        try:
            if commit:
                undo.accept(self._connection)
                self.control("COMMIT")
        finally:
            self.undo = self._beside = None
            if self.in_transaction:
                with contextlib.suppress(sa.exc.DBAPIError):  # then the server has rolled it back
                    self.control("ROLLBACK")
            with contextlib.closing(beside):
                undo.settle()

    def close(self) -> None:
        self._connection.invalidate()
        self._connection.close()


class MariadbDriver:
    """Opens links to one database."""

    name: ClassVar[str] = "mariadb"
    brief: ClassVar[None] = None
    readers: ClassVar[int] = 8
    writers: ClassVar[int] = 8
    listening_url: ClassVar[None] = None

    def __init__(self, url: sa.URL, read_timeout_s: float = 0) -> None:
        self._read_timeout_s = read_timeout_s
        self._opened = threading.local()
        self._opening = threading.Lock()
        self.dialect = MariadbDialect()
        _, self._options = MariadbDialect(dbapi=pymysql).create_connect_args(url.set(drivername="mariadb+pymysql"))
        self._engine = sa.create_engine(
            "mariadb+datastead://",
            creator=lambda: self._opened.raw,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
        )
        refuse_commits(self._engine)

    def connect(self, *, write: bool) -> MariadbLink:
        raw = self._raw()
        try:
            _check_server(str(raw.get_server_info()))  # type: ignore[no-untyped-call]  # in the stubs
            raw.query(SESSION)
            raw.query(ISOLATION[write])
            if self._read_timeout_s and not write:
                raw.query(f"SET SESSION max_statement_time = {self._read_timeout_s:f}")
        except BaseException:
            raw.close()
            raise
        with self._opening:  # SQLAlchemy looks at the server once, with the first connection
            self._opened.raw = raw
            return MariadbLink(raw, connected(self._engine), self)

    def _raw(self) -> _Raw:
        options = {"connect_timeout": CONNECT_TIMEOUT_S, **self._options}
        fixed = {"charset": "utf8mb4", "collation": COLLATION, "autocommit": True, "client_flag": CLIENT.FOUND_ROWS}
        try:
            return _Raw(**{**options, **fixed})
        except (pymysql.MySQLError, OSError) as error:
            raise ServiceUnavailable(f"The database cannot be reached: {_reason(error)}.") from error
        except (TypeError, ValueError) as error:
            raise InvalidSettings(f"The database URL has an option that cannot be used: {error}.") from error

    def timestamp(self, moment: datetime) -> str:
        return moment.astimezone(UTC).isoformat(" ", "microseconds")[:26]

    def close(self) -> None:
        self._engine.dispose()


def _check_server(version: str) -> None:
    found = _VERSION.match(version)
    if found is None:
        raise InvalidSettings(f"The database server is `{version[:60]}`: it has to be MariaDB (MySQL has other SQL).")
    if (int(found[1]), int(found[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise InvalidSettings(f"The database server is MariaDB {found[1]}.{found[2]}: it has to be {oldest} or newer.")


def _reason(error: Exception) -> str:
    """What the server or the network said, on one line. It names host and user, never the password."""
    return " ".join(str(error.args[1] if len(error.args) > 1 else error).split())


def _as_sqlalchemy(sql: str, error: Exception) -> Exception:
    if not isinstance(error, pymysql.MySQLError):
        error = pymysql.DataError(0, str(error))
    return sa.exc.DBAPIError.instance(sql, None, error, pymysql.MySQLError, hide_parameters=True)
