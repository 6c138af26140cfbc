"""SQLite: one writer, a few readers, WAL. Without a path the database lives in memory, on one shared connection."""

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.pool import NullPool, StaticPool

from datastead.data import planar
from datastead.data.brief import OPERATIONS, BriefReads, too_long
from datastead.data.links import Prepared, connected, refuse_commits
from datastead.errors import InvalidSettings, ServiceUnavailable

BUSY_TIMEOUT_MS = 30_000
STATEMENTS_CACHED = 512
OPERATIONS_OF_READERS = 100_000
"""Of SQLite's machine, between two looks at the clock: some milliseconds."""


class SqliteLink:
    """One sqlite3 connection in autocommit mode: transactions are begun and ended by us, also around DDL."""

    def __init__(
        self, raw: sqlite3.Connection, connection: sa.Connection, lock: "threading.RLock | None" = None,
        timeout_s: float = 0,
    ) -> None:  # fmt: skip
        """timeout_s: of a statement that is fetched; 0 = none."""
        self._raw = raw
        self._timeout_s = timeout_s
        self._deadline = inf
        if timeout_s:
            raw.set_progress_handler(lambda: time.monotonic() > self._deadline, OPERATIONS_OF_READERS)
        self._connection = connection
        self._lock = lock
        self._joined = False

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
        return False

    @property
    def in_transaction(self) -> bool:
        return self._raw.in_transaction

    def begin(self, *, write: bool) -> None:
        """BEGIN; IMMEDIATE for a write, so that a busy database is waited for here and nowhere later."""
        if self._lock is not None and not write:
            self._joined = True  # in memory, readers share the writer's connection, and whatever is open on it
            return
        try:
            self._raw.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        except sqlite3.OperationalError as error:
            raise ServiceUnavailable(f"The database is not available: {error}.") from error

    def control(self, sql: str) -> None:
        if self._joined and sql in {"COMMIT", "ROLLBACK"}:
            self._joined = False
            return
        try:
            self._raw.execute(sql)
        except sqlite3.Error as error:
            raise _as_sqlalchemy(sql, error) from error

    def fetch(self, prepared: Prepared, parameters: Mapping[str, Any] | list[Any]) -> list[tuple[Any, ...]]:
        values = prepared.arrange(parameters)
        if self._timeout_s:
            self._deadline = time.monotonic() + self._timeout_s
        try:
            if self._lock is None:
                return self._raw.execute(prepared.sql, values).fetchall()
            with self._lock:
                return self._raw.execute(prepared.sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if "decode to UTF-8" in str(error):
                return self._fetch_leniently(prepared.sql, values)
            raise _as_sqlalchemy(prepared.sql, error) from error
        except (sqlite3.Error, OverflowError) as error:
            raise _as_sqlalchemy(prepared.sql, error) from error
        finally:
            self._deadline = inf

    def _fetch_leniently(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """For text that is not UTF-8, which SQLite lets others write."""
        self._raw.text_factory = lambda raw: raw.decode(errors="replace")
        try:
            return self._raw.execute(sql, values).fetchall()
        finally:
            self._raw.text_factory = str

    def is_conflict(self, error: Exception) -> bool:  # noqa: ARG002  there is one writer
        return False

    def begin_alteration(self) -> None:
        """Foreign keys are off: a rebuilt table is dropped for a moment, which would delete or null its children."""
        self._raw.execute("PRAGMA foreign_keys = OFF")
        try:
            self.begin(write=True)
        except ServiceUnavailable:
            self._raw.execute("PRAGMA foreign_keys = ON")
            raise

    def end_alteration(self, *, commit: bool) -> None:
        try:
            if self._raw.in_transaction:
                self.control("COMMIT" if commit else "ROLLBACK")
        finally:
            if self._raw.in_transaction:
                self._raw.execute("ROLLBACK")
            self._raw.execute("PRAGMA foreign_keys = ON")

    def close(self) -> None:
        self._connection.close()


class SqliteDriver:
    """Opens links to one file. path: empty = in memory."""

    name: ClassVar[str] = "sqlite"
    readers: ClassVar[int] = 3
    writers: ClassVar[int] = 1
    listening_url: ClassVar[None] = None

    def __init__(self, path: str, read_timeout_s: float = 0) -> None:
        self._path = path
        self._read_timeout_s = read_timeout_s
        never = datetime.max.replace(tzinfo=UTC)
        self._second = (never, never, "9999-12-31 23:59:59")  # the one that was written last: most moments are of now
        self._opened = threading.local()
        self._shared: tuple[sqlite3.Connection, threading.RLock] | None = None
        self._opening = threading.Lock()
        self.dialect = pysqlite.dialect(paramstyle="qmark")
        self._engine = sa.create_engine(
            "sqlite://",
            creator=lambda: self._opened.raw,
            poolclass=NullPool if path else StaticPool,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
        )
        refuse_commits(self._engine)
        self.brief = BriefReads(self._connect_briefly) if path else None

    def _connect_briefly(self, is_over: Callable[[], bool]) -> SqliteLink:
        """A reader that waits for nobody, and is interrupted when its time is over."""
        with self._opening:
            raw = self._opened.raw = self._open(write=False)
            raw.execute("PRAGMA busy_timeout = 0")
            for name in ("shapes_meet", "shape_boxes_meet"):
                raw.create_function(name, 2, too_long)
            raw.set_progress_handler(is_over, OPERATIONS)
            return SqliteLink(raw, connected(self._engine))

    def connect(self, *, write: bool) -> SqliteLink:
        lock = None
        with self._opening:
            if self._path:
                raw = self._open(write=write)
            else:
                raw, lock = self._shared = self._shared or (self._open(write=True), threading.RLock())
            self._opened.raw = raw
            timeout_s = self._read_timeout_s if self._path and not write else 0
            return SqliteLink(raw, connected(self._engine), lock, timeout_s)

    def _open(self, *, write: bool) -> sqlite3.Connection:
        try:
            raw = sqlite3.connect(
                self._path or ":memory:",
                isolation_level=None,
                check_same_thread=False,
                cached_statements=STATEMENTS_CACHED,
                timeout=BUSY_TIMEOUT_MS / 1000,
            )
            raw.create_function("unicode_lower", 1, _lower, deterministic=True)
            raw.create_function("iso_week", 1, _iso_week, deterministic=True)
            raw.create_function("shapes_meet", 2, planar.meet, deterministic=True)
            raw.create_function("shape_boxes_meet", 2, planar.boxes_meet, deterministic=True)
            _configure(raw, write=write)
        except sqlite3.Error as error:
            folder = Path(self._path).absolute().parent
            hint = f": the folder `{folder}` does not exist" if not folder.is_dir() else ""
            raise InvalidSettings(f"The SQLite file `{self._path}` cannot be opened{hint} ({error}).") from error
        return raw

    def timestamp(self, moment: datetime) -> str:
        """Text as `Timestamp` columns hold it, so that it compares and sorts as time does."""
        utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
        first, last, text = self._second
        if not first <= utc <= last:
            first, last = utc.replace(microsecond=0), utc.replace(microsecond=999_999)
            text = first.isoformat(" ")[:19]
            self._second = first, last, text
        return f"{text}.{utc.microsecond:06d}"

    def close(self) -> None:
        if self.brief is not None:
            self.brief.close()
        self._engine.dispose()


def _configure(raw: sqlite3.Connection, *, write: bool) -> None:
    raw.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    if write:
        _use_wal(raw)
    raw.execute("PRAGMA synchronous = NORMAL")
    raw.execute("PRAGMA foreign_keys = ON")
    raw.execute("PRAGMA temp_store = MEMORY")
    if not write:
        raw.execute("PRAGMA query_only = ON")


def _use_wal(raw: sqlite3.Connection) -> None:
    """Changing the mode does not wait for other processes by itself, as other statements do."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            raw.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _iso_week(moment: Any) -> int | None:
    """The week of the year, from Monday on; SQLite has none of that kind. Milliseconds are as Directus writes them."""
    try:
        if isinstance(moment, int | float):
            return datetime.fromtimestamp(moment / 1000, UTC).isocalendar().week
        return datetime.fromisoformat(moment).isocalendar().week if isinstance(moment, str) else None
    except (ValueError, OverflowError, OSError):
        return None


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _as_sqlalchemy(sql: str, error: Exception) -> Exception:
    if not isinstance(error, sqlite3.Error):
        error = sqlite3.DataError(str(error))
    return sa.exc.DBAPIError.instance(sql, None, error, sqlite3.Error, hide_parameters=True)
