"""Datastead as a server to be measured: its environment, its database, and requests to it."""

import json
import os
import secrets
import sqlite3
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

SERVER_CORE, LOAD_CORE = 0, 1
CONNECTIONS = 16
TOKEN = secrets.token_urlsafe(16)
POSTGRESQL = os.environ.get("DATASTEAD_TEST_POSTGRES", "postgresql://root@127.0.0.1:5432/postgres")
SERVE = [sys.executable, "-m", "datastead", "serve"]


def environment(url: str) -> dict[str, str]:
    """What the server is told."""
    return {
        "PATH": os.environ["PATH"], "ADMIN_TOKEN": TOKEN, "ADMIN_PASSWORD": "a-password-for-the-bench",
        "SECRET": "s" * 40, "DATABASE_URL": url, "HOST": "127.0.0.1",
    }  # fmt: skip


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a new database, which is gone afterwards. kind: `sqlite` (in the folder) or `postgresql`."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'bench.db'}"
        return
    name = f"datastead_bench_{secrets.token_hex(6)}"
    with psycopg.connect(POSTGRESQL, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield f"{POSTGRESQL.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(POSTGRESQL, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def rows_of(url: str, statement: str) -> list[Any]:
    """What a statement gives, past the server; committed."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)
        try:
            with connection:
                return connection.execute(statement).fetchall()
        finally:
            connection.close()
    with psycopg.connect(url, autocommit=True) as server:
        cursor = server.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def pin_backends(url: str) -> None:
    """PostgreSQL's processes for this database go to the load's core, where the machine lets us."""
    name = url.rpartition("/")[2]
    for (pid,) in rows_of(url, f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}'"):
        try:
            os.sched_setaffinity(pid, {LOAD_CORE})
        except OSError:
            print("PostgreSQL's processes cannot be moved to a core: it runs where it likes.")
            return


def send(port: int, path: str, body: Any = None) -> bytes:
    """An answer's body. body: sent as JSON, with POST."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    raw = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", raw, headers)
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())
