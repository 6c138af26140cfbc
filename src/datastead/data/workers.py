"""Threads that own connections: what runs where, in which order, and in which transaction.

A reader takes one piece of work at a time. A writer takes either a session (a transaction that a coroutine holds open),
or whatever short writes have come in meanwhile: on SQLite these commit together, each in its savepoint.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Generic, Literal, TypeVar

from datastead.data.links import Driver, Link
from datastead.errors import DatasteadError, ServiceUnavailable

T = TypeVar("T")
log = logging.getLogger(__name__)

GROUP_MAX = 64
SESSION_IDLE_S = 60.0
ATTEMPTS = 5


class Job(Generic[T]):
    """Work for a thread, and the future of its result in the loop that waits for it."""

    __slots__ = ("future", "loop", "work")

    def __init__(self, work: Callable[[Link], T]) -> None:
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()

    def settle(self, result: T | None = None, error: BaseException | None = None) -> None:
        """Hands over the result, or the error, from the thread."""
        try:
            self.loop.call_soon_threadsafe(self._settle, result, error)
        except RuntimeError:
            log.debug("A loop ended before its work in the database did.")

    def _settle(self, result: Any, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)

    def attempt(self, link: Link) -> tuple[T | None, Exception | None]:
        """Does the work; what came of it."""
        try:
            return self.work(link), None
        except Exception as error:  # noqa: BLE001  the edge of the thread: it is raised where the work was asked for
            return None, error

    def run(self, link: Link) -> None:
        """Does the work and hands over what came of it."""
        if not self.future.cancelled():
            self.settle(*self.attempt(link))


class Errand(Job[T]):
    """Work of which a function is told: in the turn of the loop in which the outcome comes, not in the one after it."""

    __slots__ = ("_done",)

    def __init__(self, work: Callable[[Link], T], done: Callable[[T | None, BaseException | None], None]) -> None:
        super().__init__(work)
        self._done = done

    def _settle(self, result: Any, error: BaseException | None) -> None:
        self._done(result, error)


class Ending:
    """The end of a session: `commit` or `rollback`."""

    __slots__ = ("job", "kind")

    def __init__(self, kind: Literal["commit", "rollback"]) -> None:
        self.kind = kind
        self.job: Job[None] = Job(lambda _: None)


class Session:
    """A transaction that a coroutine holds open: its statements, and its end, as they come in."""

    def __init__(self) -> None:
        self._inbox: SimpleQueue[Job[Any] | Ending] = SimpleQueue()
        self._guard = threading.Lock()
        self._refusal: DatasteadError | None = None
        self._is_taken = False

    def put(self, message: "Job[Any] | Ending") -> None:
        """Raises `ServiceUnavailable` when the transaction could not begin, or has been given up."""
        with self._guard:
            if self._refusal is not None:
                raise self._refusal
            self._inbox.put(message)

    def refuse(self, error: DatasteadError) -> None:
        """Ends the session before it begins. Everybody who waits is told, and everybody who comes."""
        with self._guard:
            self._refusal = error
        while not self._inbox.empty():
            message = self._inbox.get()
            if isinstance(message, Ending):
                message.job.settle()
            else:
                message.settle(error=error)

    def withdraw(self) -> bool:
        """Takes back a session that waits for its turn; False when it has begun."""
        with self._guard:
            if not self._is_taken:
                self._refusal = ServiceUnavailable("The transaction has ended.")
            return not self._is_taken

    def serve(self, link: Link) -> None:
        """Carries the session out, to its end. In the writer's thread."""
        with self._guard:
            if self._refusal is not None:
                return
            self._is_taken = True
        begun = False
        while True:
            message = self._next()
            if message is None:
                _roll_back(link)
                return
            if isinstance(message, Ending):
                self._end(link, message, begun=begun)
                return
            if message.future.cancelled():
                continue
            if not begun:
                try:
                    link.begin(write=True)
                except DatasteadError as error:
                    message.settle(error=error)
                    continue
                begun = True
            message.run(link)

    def _next(self) -> "Job[Any] | Ending | None":
        try:
            return self._inbox.get(timeout=SESSION_IDLE_S)
        except Empty:
            pass
        with self._guard:
            if not self._inbox.empty():
                return self._inbox.get()
            self._refusal = ServiceUnavailable(f"The transaction was idle for {SESSION_IDLE_S:.0f} s: rolled back.")
        log.error("A transaction was held open for %d s without a statement: rolled back.", SESSION_IDLE_S)
        return None

    def _end(self, link: Link, ending: Ending, *, begun: bool) -> None:
        try:
            if begun and ending.kind == "commit":
                link.control("COMMIT")
            elif begun:
                _roll_back(link)
        except Exception as error:  # noqa: BLE001  the edge of the thread: it is raised where the end was asked for
            _roll_back(link)
            ending.job.settle(error=error)
        else:
            ending.job.settle()


class Alteration(Job[T]):
    """A change of the schema: a transaction in which tables may be rebuilt."""

    def run(self, link: Link) -> None:
        try:
            link.begin_alteration()
            try:
                result = self.work(link)
            except BaseException:
                link.end_alteration(commit=False)
                raise
            link.end_alteration(commit=True)
        except Exception as error:  # noqa: BLE001  the edge of the thread: it is raised where the work was asked for
            self.settle(error=error)
        else:
            self.settle(result)


class Single(Job[T]):
    """One statement that is a transaction of its own."""


Task = Job[Any] | Session


class Worker:
    """A thread with its own link, opened with its first task and again when the server has gone meanwhile."""

    def __init__(self, driver: Driver, tasks: "SimpleQueue[Task | None]", *, write: bool, name: str) -> None:
        self._driver = driver
        self._tasks = tasks
        self._write = write
        self._link: Link | None = None
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _loop(self) -> None:
        while (task := self._tasks.get()) is not None:
            follower = self._take(task)
            while follower is not None:
                follower = self._take(follower)
        if self._link is not None:
            self._link.close()

    def _take(self, task: Task) -> Task | None:
        """Carries a task out. What was taken from the queue with it and comes after it is given back."""
        try:
            link = self._linked()
        except DatasteadError as error:
            _refuse(task, error)
            return None
        except Exception:
            log.exception("A connection to the database failed in a way that nobody expected.")
            _refuse(task, ServiceUnavailable("The database is not available."))
            return None
        if isinstance(task, Session):
            task.serve(link)
        elif isinstance(task, Alteration | Single):
            task.run(link)
        elif not self._write:
            self._read(link, task)
        else:
            group, follower = self._gather(task)
            write_group(link, group)
            return follower
        return None

    def _read(self, link: Link, job: Job[Any]) -> None:
        """Reads; once more where the server has gone meanwhile, as nothing can have happened."""
        if job.future.cancelled():
            return
        result, error = job.attempt(link)
        if error is not None and link.is_broken:
            try:
                result, error = job.attempt(self._linked())
            except DatasteadError as refusal:
                error = refusal
        job.settle(result, error)

    def _linked(self) -> Link:
        if self._link is not None and self._link.is_broken:
            self._link.close()
            self._link = None
        if self._link is None:
            self._link = self._driver.connect(write=self._write)
        return self._link

    def _gather(self, first: Job[Any]) -> tuple[list[Job[Any]], Task | None]:
        """The short writes that wait: they share a commit. Where there are many writers, each takes one."""
        group = [first]
        while self._driver.writers == 1 and len(group) < GROUP_MAX:
            try:
                task = self._tasks.get_nowait()
            except Empty:
                break
            if task is None:
                self._tasks.put(None)
                break
            if isinstance(task, Session | Alteration | Single):
                return group, task
            group.append(task)
        return group, None


def write_group(link: Link, jobs: Sequence[Job[Any]]) -> None:
    """Runs short writes in one transaction, each in its savepoint; where they cannot commit together, each alone.

    Results are handed over after the commit. The work of a job may run a second time, when the first was undone.
    """
    jobs = [job for job in jobs if not job.future.cancelled()]
    if len(jobs) == 1:
        _write_alone(link, jobs[0])
    elif jobs and not _write_together(link, jobs):
        for job in jobs:
            _write_alone(link, job)


def _write_alone(link: Link, job: Job[Any]) -> None:
    """Again, where another transaction was in its way and the database has undone this one."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            link.begin(write=True)
            result = job.work(link)
            link.control("COMMIT")
        except Exception as error:  # noqa: BLE001  the edge of the thread: it is raised where the work was asked for
            _roll_back(link)
            if attempt < ATTEMPTS and link.is_conflict(error):
                continue
            job.settle(error=error)
        else:
            job.settle(result)
        return


def _write_together(link: Link, jobs: Sequence[Job[Any]]) -> bool:
    """Whether it was done; otherwise nothing was."""
    outcomes: list[tuple[Any, BaseException | None]] = []
    try:
        link.begin(write=True)
        for job in jobs:
            outcomes.append(_in_savepoint(link, job))
            if not link.in_transaction:
                return False
        link.control("COMMIT")
    except Exception:  # noqa: BLE001  each job is tried alone then, and fails for itself
        _roll_back(link)
        return False
    for job, (result, error) in zip(jobs, outcomes, strict=True):
        job.settle(result, error)
    return True


def _in_savepoint(link: Link, job: Job[Any]) -> tuple[Any, BaseException | None]:
    link.control("SAVEPOINT one")
    try:
        result = job.work(link)
    except Exception as error:  # noqa: BLE001  the edge of the thread: it is raised where the work was asked for
        if link.in_transaction:
            link.control("ROLLBACK TO SAVEPOINT one")
            link.control("RELEASE SAVEPOINT one")
        return None, error
    link.control("RELEASE SAVEPOINT one")
    return result, None


def _roll_back(link: Link) -> None:
    if link.is_broken or not link.in_transaction:
        return
    try:
        link.control("ROLLBACK")
    except Exception:
        log.exception("A rollback failed.")


def _refuse(task: Task, error: DatasteadError) -> None:
    """Without a link nothing can be done: everybody who waits is told."""
    if isinstance(task, Session):
        task.refuse(error)
    else:
        task.settle(error=error)
