"""The examples of `docs/login.md`, in the order of the page, on one server with a real mail server beside it."""

import json
import re
from pathlib import Path

import pytest

from datastead.settings import Settings, load_settings
from tests.mailbox import Mailbox

from .conftest import ADMIN_TOKEN, PASSWORD, Server, serving

PAGE = (Path(__file__).parents[2] / "docs" / "login.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_every_example_of_the_page_is_of_a_kind_that_is_run() -> None:
    assert {kind for kind, _ in BLOCKS} <= {"sh", "http"}


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "sh"])
def test_settings_are_read_as_they_are_written(text: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(text)
    assert load_settings({}, cwd=tmp_path).model_fields_set


def test_requests_are_answered_as_they_are_written(tmp_path: Path, mailbox: Mailbox) -> None:
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'data.db'}", admin_token=ADMIN_TOKEN, admin_password=PASSWORD,
        secret="s" * 40, public_url="https://data.example.com", email_transport="smtp", email_smtp_host="127.0.0.1",
        email_smtp_port=mailbox.port, password_reset_url_allow_list=["https://app.example.com/reset"],
        register_stall_time=0,
    )  # fmt: skip
    with serving(settings) as port:
        server, address = Server(port), ""
        server.post("/users", {"email": "zoe@example.com", "password": PASSWORD})
        values = {"<id of a role>": server.post("/roles", {"name": "x"}).data["id"]}
        for text in (text for kind, text in BLOCKS if kind == "http"):
            for method, path, body in re.findall(r"^([A-Z]+) (\S+) ?(\{.*\})?$", text, flags=re.MULTILINE):
                if "<token>" in path + body:
                    values["<token>"] = mailbox.token_to(address)
                for shown, value in values.items():
                    path, body = path.replace(shown, value), body.replace(shown, value)
                given = json.loads(body) if body else None
                answer = server.send(method, path, given)
                assert answer.status in {200, 204}, (method, path, answer.body)
                address = _last_address(given) or "zoe@example.com"


def _last_address(body: object) -> str | None:
    email = body.get("email") if isinstance(body, dict) else None
    return email[-1] if isinstance(email, list) else email
