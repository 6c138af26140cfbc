"""`/server/*`, the API reference, and what goes wrong at the start."""

import asyncio
import logging
import shutil
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from datastead.api.answers import error_answer
from datastead.api.errors import Edge
from datastead.app import create_app
from datastead.errors import DatasteadError, RateLimitExceeded
from datastead.settings import Settings

from .conftest import ADMIN_TOKEN, Server, serving


def test_a_ping_is_answered(server: Server) -> None:
    answer = server.public.get("/server/ping")
    assert (answer.status, answer.body) == (200, "pong")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_what_the_server_is_is_told_to_those_who_are_signed_in(server: Server) -> None:
    public, signed_in = server.public.get("/server/info").data, server.get("/server/info").data
    assert set(public) == {"project", "setupCompleted"}
    assert signed_in["queryLimit"] == {"default": 100, "max": -1}
    assert "version" in signed_in


def test_details_of_its_health_are_for_administrators(server: Server) -> None:
    answer = server.get("/server/health")
    assert answer.headers["content-type"].startswith("application/health+json")
    assert answer.json["status"] in {"ok", "warn"}
    names = set(answer.json["checks"])
    assert {"storage:local:responseTime", "email:connection"} < names
    assert names & {"pg:responseTime", "sqlite3:responseTime", "mysql:responseTime"}
    assert {check["status"] for (check,) in answer.json["checks"].values()} <= {"ok", "warn"}
    assert set(server.public.get("/server/health").json) == {"status"}


def test_a_storage_that_takes_nothing_is_an_error_and_a_silent_mail_server_a_warning(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'x.db'}",
        admin_token=ADMIN_TOKEN,
        admin_password="x",
        storage_options={"local": {"root": str(tmp_path / "root")}},
        email_transport="smtp",
        email_smtp_host="127.0.0.1",
        email_smtp_port=1,
    )
    with serving(settings) as port:
        found = Server(port).get("/server/health")
    assert (found.status, found.json["status"]) == (200, "warn")
    assert found.json["checks"]["email:connection"] == [{"status": "error", "componentType": "email"}]
    assert list((tmp_path / "root").rglob("health-*")) == []
    with serving(settings) as port:
        shutil.rmtree(tmp_path / "root")
        (tmp_path / "root").write_text("in the way")
        broken = Server(port).get("/server/health")
    assert (broken.status, broken.json["status"]) == (503, "error")
    assert broken.json["checks"]["storage:local:responseTime"][0]["status"] == "error"


def test_the_reference_describes_every_route_and_loads_nothing_from_elsewhere(server: Server) -> None:
    described = server.public.get("/openapi.json").json
    for path in (
        "/items/{collection}",
        "/items/{collection}/{key}",
        "/flows/{flow}",
        "/auth/login",
        "/server/info",
        "/ai/generate",
        "/ai/v1/responses",
    ):
        assert path in described["paths"]
    assert server.public.get("/server/specs/oas").json == described
    page = server.public.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "http" not in page.body.replace("http-equiv", "")
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_the_root_leads_to_the_reference(server: Server) -> None:
    assert server.public.get("/").status == 302
    assert server.public.get("/").headers["location"] == "./docs"
    app = create_app(Settings(root_redirect="false"))
    assert "/" not in {getattr(route, "path", None) for route in app.router.routes}
    for wrong in ("/", "./", "//elsewhere", "javascript:alert(1)", "./a\nb"):
        with pytest.raises(ValueError, match="root_redirect"):
            Settings(root_redirect=wrong)


def test_an_error_that_nobody_expected_shows_nothing_of_the_inside(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = error_answer(KeyError("secret-inside"))
    assert answer.status_code == 500
    assert b"secret-inside" not in answer.body
    assert b"INTERNAL_SERVER_ERROR" in answer.body
    assert "secret-inside" in caplog.text


@pytest.mark.parametrize("refusal", [psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected])
def test_what_a_busy_or_slow_database_refuses_is_no_fault(refusal: type[psycopg.Error]) -> None:
    async def refusing(*_: object) -> None:
        raise sa.exc.OperationalError("SELECT secret", None, refusal())

    answer = TestClient(Edge(refusing)).get("/ai/usage")
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert "secret" not in answer.text


def test_an_error_of_the_house_without_a_code_is_no_different() -> None:
    assert b"inside" not in error_answer(DatasteadError("inside")).body


def test_a_models_error_has_the_contracts_code_and_ours_beside_it() -> None:
    answer = error_answer(RateLimitExceeded("Slow down.", retry_after_s=2.4, provider="openai"))
    assert answer.status_code == 503
    assert (b"retry-after", b"2") in answer.raw_headers
    assert answer.body == (
        b'{"errors":[{"message":"Slow down.","extensions":'
        b'{"provider":"openai","code":"SERVICE_UNAVAILABLE","ai_code":"RATE_LIMIT_EXCEEDED"}}]}'
    )


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all/x.db", "postgresql://u:canary-77@127.0.0.1:1/x"])
def test_a_database_that_cannot_be_opened_is_one_line_without_a_secret(url: str) -> None:
    app = create_app(Settings(database_url=url))

    async def start() -> None:
        async with app.router.lifespan_context(app):
            pass

    with pytest.raises(DatasteadError) as caught:
        asyncio.run(start())
    assert "\n" not in str(caught.value)
    assert "canary-77" not in str(caught.value)


def test_nothing_is_left_running_after_the_end(tmp_path: Path) -> None:
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path / 'x.db'}", admin_password="x"))

    async def run() -> set[str]:
        async with app.router.lifespan_context(app):
            pass
        return {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    assert asyncio.run(run()) == set()
