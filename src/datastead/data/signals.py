"""`Signals`: that a process has done what the others of its database want to know at once.

On PostgreSQL each process listens over one connection, in a thread of its own. Nothing depends on that a signal comes:
whoever waits for one looks now and then all the same, and oftener while `is_live` is false. That is so on SQLite and
MariaDB, and while the connection is lost.
"""

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import sqlalchemy as sa

from datastead.data.engine import Connection as DatabaseConnection
from datastead.data.engine import Database, Transaction

if TYPE_CHECKING:
    from psycopg import Connection

log = logging.getLogger(__name__)

Topic = Literal["changes", "flows", "schema"]

CHANNEL = "datastead"
PAUSE_S = 0.05
"""How long a signal waits for others after the last: of many changes there are few signals."""
PROOF_S = 5.0
"""How long a process waits for the first signal, which it sends to itself: behind some poolers none ever comes."""
RETRY_S = 5.0
CONNECTING: dict[str, Any] = {
    "autocommit": True, "connect_timeout": 10, "keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5,
    "keepalives_count": 3, "application_name": "datastead signals",
}  # fmt: skip


def notify(transaction: Transaction, topic: Topic) -> None:
    """Signals with the commit. Such commits wait for one another on PostgreSQL: only for what is rare."""
    if transaction.dialect == "postgresql":
        transaction.execute(sa.select(sa.func.pg_notify(CHANNEL, topic)))


class Signals:
    """The signals of one process, in one loop."""

    def __init__(self, database: Database, *, retry_s: float = RETRY_S) -> None:
        self._url = database.listening_url
        self._retry_s = retry_s
        self._process = uuid4().hex
        self._heard: dict[str, Callable[[], None]] = {}
        self._unsent: set[str] = set()
        self._is_live = False
        self._is_stopping = threading.Event()
        self._waking: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_live(self) -> bool:
        """Whether signals of other processes come."""
        return self._is_live

    def on(self, topic: Topic, heard: Callable[[], None]) -> None:
        """`heard` is called in the loop after a signal, and whenever some may have been missed."""
        self._heard[topic] = heard

    def start(self) -> None:
        """Listens, where there is something to listen to."""
        if self._url is None:
            return
        self._loop = asyncio.get_running_loop()
        self._waking, woken = socket.socketpair()
        self._waking.setblocking(False)
        self._thread = threading.Thread(target=self._run, args=(self._url, woken), name="signals", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Ends."""
        self._is_stopping.set()
        self._wake()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        if self._waking is not None:
            self._waking.close()
            self._waking = None

    async def send_after(self, connection: DatabaseConnection, topic: Topic) -> None:
        """Signals what a transaction does: just after its commit, and of a process that does not listen, with it."""
        if self._url is None:
            return
        if self._thread is None:
            await connection.run(lambda transaction: notify(transaction, topic))
        else:
            connection.after_commit(lambda: self.send(topic))

    def send(self, topic: Topic) -> None:
        """Signals what is committed, without waiting. Not where nothing is live: others look by themselves."""
        if self._is_live and topic not in self._unsent:
            self._unsent.add(topic)
            self._wake()

    def _wake(self) -> None:
        if self._waking is not None:
            with contextlib.suppress(BlockingIOError):  # it is about to look, then
                self._waking.send(b"!")

    def _run(self, url: str, woken: socket.socket) -> None:
        """In the thread: listens, again and again."""
        import psycopg

        told = ""
        while not self._is_stopping.is_set():
            try:
                with closing(psycopg.connect(url, **CONNECTING)) as connection:
                    self._listen(connection, woken)
            except (psycopg.Error, OSError) as error:
                if self._is_live or not told:
                    told = " ".join(str(error).split())
                    log.warning("PostgreSQL tells of no changes of other processes; they are looked for: %s", told)
            self._turn(live=False)
            self._is_stopping.wait(self._retry_s)
        woken.close()

    def _listen(self, connection: "Connection[Any]", woken: socket.socket) -> None:
        """Until it is lost, or the process stops."""
        connection.execute(f"LISTEN {CHANNEL}".encode())
        self._prove(connection)
        self._turn(live=True)
        sent_at = float("-inf")
        with DefaultSelector() as sources:
            sources.register(connection, EVENT_READ)
            sources.register(woken, EVENT_READ)
            while not self._is_stopping.is_set():
                wait_s = max(0.0, sent_at + PAUSE_S - time.monotonic()) if self._unsent else None
                ready = {key.fileobj for key, _ in sources.select(wait_s)}
                if woken in ready:
                    woken.recv(4096)
                is_due = bool(self._unsent) and time.monotonic() - sent_at >= PAUSE_S
                if is_due:
                    sent_at = time.monotonic()
                    self._send(connection)
                if is_due or connection in ready:  # some may have come with the answers
                    for notice in connection.notifies(timeout=0):
                        self._hear(notice.payload)

    def _prove(self, connection: "Connection[Any]") -> None:
        """Raises `TimeoutError` where what is sent does not come."""
        self._notify(connection, "proof")
        for notice in connection.notifies(timeout=PROOF_S):
            if notice.payload == f"proof {self._process}":
                return
        raise TimeoutError("what is sent by NOTIFY does not come, as behind a pooler of transactions")

    def _send(self, connection: "Connection[Any]") -> None:
        while self._unsent:
            self._notify(connection, self._unsent.pop())

    def _notify(self, connection: "Connection[Any]", topic: str) -> None:
        connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, f"{topic} {self._process}"))

    def _hear(self, payload: str) -> None:
        topic, _, process = payload.partition(" ")
        if process != self._process:
            self._tell(topic)

    def _turn(self, *, live: bool) -> None:
        """Everybody looks now: something may have been missed, or will be from now on."""
        if live != self._is_live:
            self._is_live = live
            for topic in self._heard:
                self._tell(topic)

    def _tell(self, topic: str) -> None:
        heard, loop = self._heard.get(topic), self._loop
        if heard is not None and loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(heard)
