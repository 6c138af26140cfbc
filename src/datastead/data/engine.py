"""`Database`: reads, short writes and transactions on SQLite, PostgreSQL or MariaDB.

SQL runs in threads, never on the loop.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

import orjson
import sqlalchemy as sa

from datastead.data.links import Driver, Fetch, Link, Prepared, prepare
from datastead.data.system import to_moment
from datastead.data.undo import UndoLog
from datastead.data.workers import Alteration, Ending, Errand, Job, Session, Single, Task, Worker
from datastead.errors import InvalidForeignKey, InvalidSettings

T = TypeVar("T")
log = logging.getLogger(__name__)

ROLLBACK_WAIT_S = 1.0

__all__ = ["Connection", "Database", "Fetch", "Prepared", "Transaction"]


class Transaction:
    """An open transaction, in the thread that has its connection.

    Errors of the database are SQLAlchemy's (`sa.exc.IntegrityError` …), from `execute` and `raw` alike.
    """

    __slots__ = ("_link", "dialect")

    def __init__(self, link: Link, dialect: str) -> None:
        self._link = link
        self.dialect = dialect

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        """Runs a statement of SQLAlchemy's."""
        return self._link.connection.execute(statement, parameters)

    def raw(self, prepared: Prepared, parameters: Mapping[str, Any] | list[Any]) -> list[tuple[Any, ...]]:
        """Runs prepared SQL on the driver: the cheap path. Moments, JSON, UUIDs and decimals come as text.

        parameters: by name, or in the order in which they stand in the SQL.
        """
        return self._link.fetch(prepared, parameters)

    def control(self, sql: str) -> None:
        """SAVEPOINT and the like, on the driver."""
        self._link.control(sql)

    @property
    def connection(self) -> sa.Connection:
        """For reflection. It must not be committed."""
        return self._link.connection

    @property
    def tables(self) -> sa.Connection:
        """For DDL, inside `Database.alter`. It must not be committed."""
        return self._link.tables

    @property
    def undo(self) -> UndoLog | None:
        """Where the database does not undo DDL by itself: what takes down how it is done."""
        return self._link.undo


class Connection:
    """The async face of one open transaction. It begins with its first statement."""

    def __init__(self, submit: Callable[[Session], None], dialect: str) -> None:
        self._submit = submit
        self._session = Session()
        self._is_submitted = False
        self._after_commit: list[Callable[[], None]] = []
        self._after_rollback: list[Callable[[], None]] = []
        self.dialect = dialect

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """Carries work to the thread that owns the connection."""
        job = Job(lambda link: work(Transaction(link, self.dialect)))
        self._session.put(job)
        if not self._is_submitted:
            self._is_submitted = True
            self._submit(self._session)
        return await job.future

    async def execute(self, statement: sa.Executable, parameters: Any = None) -> list[sa.Row[Any]]:
        """The rows of one statement; empty for one that gives none."""
        return await self.run(lambda transaction: _rows(transaction.execute(statement, parameters)))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part that can fail alone: when the block raises, what it did is undone, and the transaction goes on."""
        await self.run(lambda transaction: transaction.connection.exec_driver_sql("SAVEPOINT part") and None)
        try:
            yield
        except BaseException:
            await self.run(_undo_part)
            raise
        await self.run(lambda transaction: transaction.connection.exec_driver_sql("RELEASE SAVEPOINT part") and None)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Called on the loop when the transaction has been committed."""
        self._after_commit.append(callback)

    def after_rollback(self, callback: Callable[[], None]) -> None:
        """Called on the loop when the transaction has been rolled back."""
        self._after_rollback.append(callback)

    async def commit(self) -> None:
        """Ends the transaction. It is carried out, and the callbacks are called, also when the caller is cancelled.

        Raises `InvalidForeignKey` where a constraint is checked only now: it is all that databases defer.
        """
        if not self._is_submitted:
            self._tell(self._after_commit)
            return
        ending = Ending("commit")
        ending.job.future.add_done_callback(self._finish)
        self._session.put(ending)
        try:
            await asyncio.shield(ending.job.future)
        except sa.exc.IntegrityError as error:
            raise dangling() from error

    async def rollback(self) -> None:
        """Ends the transaction and undoes it. What waits in the database for somebody else's lock is not waited for."""
        self._after_commit.clear()
        if not self._is_submitted or self._session.withdraw():
            self._tell(self._after_rollback)
            return
        ending = Ending("rollback")
        ending.job.future.add_done_callback(self._undone)
        self._session.put(ending)
        await asyncio.wait({ending.job.future}, timeout=ROLLBACK_WAIT_S)

    def _undone(self, future: "asyncio.Future[None]") -> None:
        if not future.cancelled() and future.exception() is not None:
            log.error("A rollback failed: the connection is given up.", exc_info=future.exception())
        self._tell(self._after_rollback)

    def _finish(self, future: "asyncio.Future[None]") -> None:
        failed = future.cancelled() or future.exception() is not None
        self._tell(self._after_rollback if failed else self._after_commit)

    def _tell(self, callbacks: list[Callable[[], None]]) -> None:
        for callback in callbacks:
            try:
                callback()
            except Exception:
                log.exception("A callback after a transaction failed.")


class Database:
    """A database, opened with `start` and closed with `close`; may be used from several event loops.

    is_in_memory: readers share the writer's connection, and see what it has not committed.
    """

    def __init__(self, driver: Driver) -> None:
        self.dialect = driver.name
        self.is_in_memory = False
        self._driver = driver
        self._reads: SimpleQueue[Task | None] = SimpleQueue()
        self._writes: SimpleQueue[Task | None] = SimpleQueue()
        self._workers: list[Worker] = []

    @classmethod
    def open(cls, url: str, *, read_timeout_s: float = 0) -> "Database":
        """Without any I/O. `sqlite:///path`, `sqlite://` (in memory), `postgresql://user:password@host/name`, `mariadb://…`.

        read_timeout_s: of a SELECT of `reading` and `fetch`, on PostgreSQL and MariaDB also of `read`; 0 = none.
        """
        database = cls(_driver(url, read_timeout_s))
        database.is_in_memory = database.dialect == "sqlite" and sa.make_url(url).database in {None, "", ":memory:"}
        return database

    @property
    def listening_url(self) -> str | None:
        """Where a connection may listen for what others notify of; None where the database carries nothing."""
        return self._driver.listening_url

    async def start(self) -> None:
        """Connects. Raises `InvalidSettings` or `ServiceUnavailable` when the database cannot be opened."""
        for kind, queue, count in (
            ("read", self._reads, self._driver.readers),
            ("write", self._writes, self._driver.writers),
        ):
            for number in range(count):
                worker = Worker(self._driver, queue, write=kind == "write", name=f"database-{kind}-{number}")
                worker.start()
                self._workers.append(worker)
        try:
            await self.write(lambda _: None)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Ends after what was asked before has been done."""
        for _ in range(self._driver.readers):
            self._reads.put(None)
        for _ in range(self._driver.writers):
            self._writes.put(None)
        workers, self._workers = self._workers, []
        for worker in workers:
            await asyncio.to_thread(worker.join)
        self._driver.close()

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Commits when the block ends well, and rolls back when it raises or is cancelled."""
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        connection = Connection(self._writes.put, self.dialect)
        try:
            yield connection
        except BaseException:
            await connection.rollback()
            raise
        await connection.commit()

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """One short transaction, in one hop. On SQLite those that come together commit together, each in a savepoint.

        work may run again when the group could not commit: it must have no effects but those in the database.
        """
        return await self._submit(self._writes, Job(lambda link: work(Transaction(link, self.dialect))))

    def send(self, work: Callable[[Transaction], T], done: Callable[[T | None, BaseException | None], None]) -> None:
        """`write`, without waiting for it: `done(result, error)` is called in the loop, and must not wait or raise."""
        self._writes.put(Errand(lambda link: work(Transaction(link, self.dialect)), done))

    async def execute(self, prepared: Prepared, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of one prepared statement that writes, in a transaction of its own. It is not done twice."""
        return await self._submit(self._writes, Single(partial(_fetch, prepared, parameters)))

    async def write_one(self, prepared: Prepared, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """`execute`; on SQLite with the other short writes that come meanwhile, as in `write`."""
        if self._driver.writers == 1:
            return await self.write(lambda transaction: transaction.raw(prepared, parameters))
        return await self.execute(prepared, parameters)

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Read-only work that sees one state of the database."""
        return await self._submit(self._reads, Job(lambda link: _read(link, work, self.dialect)))

    async def reading(self, work: Callable[[Fetch], T], shape: Hashable) -> T:
        """Read-only work of a few SELECTs, in one hop; in none where the driver can read on the loop, in a short time.

        work may run a second time. shape: what its cost depends on, so that it is known which is long.
        """
        brief = self._driver.brief
        if brief is not None:
            found = brief.attempt(work, shape)
            if found is not None:
                return found[0]
        return await self._submit(self._reads, Job(lambda link: work(link.fetch)))

    async def fetch(self, prepared: Prepared, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of one prepared SELECT, as the driver gives them (see `Transaction.raw`)."""
        return await self._submit(self._reads, Job(partial(_fetch, prepared, parameters)))

    async def alter(self, work: Callable[[Transaction], T]) -> T:
        """A change of the schema: whole, or not at all."""
        return await self._submit(self._writes, Alteration(lambda link: work(Transaction(link, self.dialect))))

    async def _submit(self, queue: "SimpleQueue[Task | None]", job: Job[T]) -> T:
        queue.put(job)
        return await job.future

    def prepare(self, statement: sa.ClauseElement, columns: Sequence[str] | None = None) -> Prepared:
        """Compiles a statement. columns: of an INSERT or UPDATE without values, the columns that will be given."""
        return prepare(self._driver.dialect, statement, columns)

    def timestamp(self, moment: datetime) -> Any:
        """A moment as a parameter for `raw` and `fetch`."""
        return self._driver.timestamp(moment)

    @staticmethod
    def moment(value: Any) -> datetime | None:
        """A moment from a row of `raw` or `fetch`, as aware UTC."""
        return to_moment(value)

    @staticmethod
    def json(value: Any) -> str | None:
        """A JSON value as a parameter for `raw` and `fetch`."""
        return None if value is None else orjson.dumps(value).decode()


def dangling() -> InvalidForeignKey:
    """The error for a constraint that is checked at the end of a transaction."""
    return InvalidForeignKey(
        "What was written refers to an item that does not exist, or leaves out one that others refer to."
    )


def _driver(url: str, read_timeout_s: float) -> Driver:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise InvalidSettings(
            "The database URL cannot be read: it looks like `sqlite:///data.db` or `postgresql://user@host/name`."
        ) from None
    backend = parsed.drivername.partition("+")[0]
    if backend == "sqlite":
        from datastead.data.sqlite import SqliteDriver

        return SqliteDriver("" if parsed.database in {None, "", ":memory:"} else str(parsed.database), read_timeout_s)
    if backend in {"postgresql", "postgres"}:
        from datastead.data.postgresql import PostgresqlDriver

        return PostgresqlDriver(parsed, read_timeout_s)
    if backend in {"mariadb", "mysql"}:
        from datastead.data.mariadb import MariadbDriver

        return MariadbDriver(parsed, read_timeout_s)
    raise InvalidSettings(
        f"`{backend}` databases are not supported: use `sqlite:///…`, `postgresql://…` or `mariadb://…`."
    )


def _read(link: Link, work: Callable[[Transaction], T], dialect: str) -> T:
    link.begin(write=False)
    try:
        return work(Transaction(link, dialect))
    finally:
        link.control("ROLLBACK")


def _fetch(prepared: Prepared, parameters: Mapping[str, Any], link: Link) -> list[tuple[Any, ...]]:
    return link.fetch(prepared, parameters)


def _rows(result: sa.CursorResult[Any]) -> list[sa.Row[Any]]:
    return list(result.all()) if result.returns_rows else []


def _undo_part(transaction: Transaction) -> None:
    transaction.connection.exec_driver_sql("ROLLBACK TO SAVEPOINT part")
    transaction.connection.exec_driver_sql("RELEASE SAVEPOINT part")
