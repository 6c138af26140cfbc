"""A real server on a real port, once for each database; and a client that can also send what no client should."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from uuid import uuid4

import pytest
import uvicorn

from datastead.app import create_app
from datastead.settings import Settings
from tests.databases import KINDS, postgresql_database
from tests.mailbox import Mailbox
from tests.mariadb import mariadb_database

ADMIN_TOKEN = "admin-token"
PASSWORD = "a-long-password"


@dataclass(frozen=True)
class Answer:
    """What a server answered. body: text."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        return self.json["data"]

    @property
    def code(self) -> Any:
        """The code of the first error, with what a client can rely on in its shape checked."""
        (error,) = self.json["errors"]
        assert set(error) == {"message", "extensions"}
        return error["extensions"]["code"]


@dataclass(frozen=True)
class Server:
    """A running server, and requests to it."""

    port: int
    token: str | None = ADMIN_TOKEN

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """body: sent as JSON. raw: sent as it is."""
        own = {} if body is None else {"Content-Type": "application/json"}
        if self.token is not None:
            own["Authorization"] = f"Bearer {self.token}"
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(
                method, path, raw if body is None else json.dumps(body).encode(), {**own, **(headers or {})}
            )
            answer = connection.getresponse()
            return Answer(
                answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode(errors="replace")
            )
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    def post(self, path: str, body: Any) -> Answer:
        return self.send("POST", path, body)

    def acting_as(self, token: str | None) -> "Server":
        return Server(self.port, token)

    @property
    def public(self) -> "Server":
        return self.acting_as(None)


@pytest.fixture(scope="session", params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('api') / 'data.db'}"
        return
    with postgresql_database() if request.param == "postgresql" else mariadb_database() as url:
        yield url


@pytest.fixture(scope="session")
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture(scope="session")
def settings(database_url: str, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> Settings:
    return Settings(
        database_url=database_url,
        admin_token=ADMIN_TOKEN,
        admin_password=PASSWORD,
        secret="s" * 40,
        extensions_path=str(tmp_path_factory.mktemp("extensions")),
        storage_options={"local": {"root": str(tmp_path_factory.mktemp("uploads"))}},
        public_url="https://data.example.com",
        email_transport="smtp",
        email_smtp_host="127.0.0.1",
        email_smtp_port=mailbox.port,
        password_reset_url_allow_list=["https://app.example.com/reset"],
        user_invite_url_allow_list=["https://app.example.com/join"],
        user_register_url_allow_list=["https://app.example.com/hello"],
        rate_limiter_registration_points=1000,
        login_stall_time=0,
        register_stall_time=0,
        cors_enabled=True,
        cors_origin=["https://studio.example.com"],
    )


@pytest.fixture(scope="session")
def server(settings: Settings) -> Iterator[Server]:
    with serving(settings) as port:
        yield Server(port)


@pytest.fixture
def articles(server: Server) -> str:
    """A collection of its own: id, title (64 characters, not null), views, author (m2o), tags (json), published."""
    name = f"articles_{uuid4().hex[:8]}"
    created = server.post("/collections", collection(name))
    assert created.status == 200, created.body
    return name


def collection(name: str, **more: Any) -> dict[str, Any]:
    fields = [
        {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}},
        {"field": "title", "type": "string", "schema": {"max_length": 64, "is_nullable": False}},
        {"field": "views", "type": "integer"},
        {"field": "tags", "type": "json"},
        {"field": "published", "type": "boolean"},
        {"field": "slug", "type": "string", "schema": {"is_unique": True}},
    ]
    return {"collection": name, "schema": {}, "meta": {}, "fields": fields, **more}


class serving:  # noqa: N801  reads as what it does
    """A server in a thread, for as long as the block."""

    def __init__(self, settings: Settings) -> None:
        config = uvicorn.Config(create_app(settings), host="127.0.0.1", port=0, log_level="warning")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)

    def __enter__(self) -> int:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "The server did not start."
            time.sleep(0.01)
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
