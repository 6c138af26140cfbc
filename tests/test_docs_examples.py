"""Every example in the guide runs: Python, commands, settings, flows and requests, in the order of their page.

`docs/gateway.md`, `docs/files.md` and `docs/login.md` have tests of their own, beside the routes that they are about.
"""

import ast
import asyncio
import inspect
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from typer.testing import CliRunner

from datastead import AI
from datastead.cli import app
from datastead.settings import Settings, load_settings
from datastead.testing import Simulator
from tests.api.conftest import ADMIN_TOKEN, PASSWORD, Server, serving

ROOT = Path(__file__).parent.parent
HAS_ITS_OWN = {"gateway.md", "files.md", "login.md"}
IMAGE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
NOT_RUN = ("pip install", "make ", "datastead serve", "export ")
"""What begins so is installing and serving, which other tests do."""


class Example(NamedTuple):
    """A block of code. place: for the test's name."""

    page: Path
    place: str
    language: str
    text: str


def _examples() -> Iterator[Example]:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text()
        for found in re.finditer(r"^```(\w+)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
            if page.name not in HAS_ITS_OWN:
                line = text[: found.start()].count("\n") + 1
                yield Example(page, f"{page.name}:{line}", found[1], found[2])


EXAMPLES = list(_examples())


def _of(*languages: str) -> list[Example]:
    return [example for example in EXAMPLES if example.language in languages]


def _is_settings(example: Example) -> bool:
    return example.language == "sh" and re.match(r"[A-Z_]+ ?= ?[^$]", example.text) is not None


def _commands(example: Example) -> Iterator[list[str]]:
    """The lines of `datastead`, as arguments. One with an id that is cut short shows only how it looks."""
    for line in example.text.splitlines():
        command = line.removeprefix("$ ")
        if command.startswith("datastead ") and not command.startswith(NOT_RUN) and "…" not in command:
            yield shlex.split(command.partition(" > ")[0], comments=True)[1:]


def _named(examples: list[Example]) -> Any:
    return pytest.mark.parametrize("example", examples, ids=lambda example: example.place)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def variables(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A folder of one's own, and every vendor at the simulator."""
    monkeypatch.chdir(tmp_path)
    values = {"DATABASE_URL": f"sqlite:///{tmp_path / 'data.db'}", "SECRET": "s" * 40, "ADMIN_PASSWORD": PASSWORD}
    for name in ("openai", "anthropic", "google"):
        vendor = f"AI_{name.upper()}"
        values |= {
            f"{vendor}_ENABLED": "true",
            f"{vendor}_API_KEY": "k",
            f"{vendor}_BASE_URL": simulator.base_url(name),
        }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


@_named(_of("python"))
@pytest.mark.usefixtures("variables")
def test_python_runs_as_it_is_written(example: Example) -> None:
    """Where a page has named `ai` before, it is there; the rest an example brings along."""
    code = compile(
        example.text.replace("https://example.com/a.png", IMAGE), example.place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    given = {
        "prompt": "Salt?",
        "tools": [{"name": "weigh", "inputSchema": {"type": "object"}}],
        "my_tracer_provider": None,
    }
    if "count_tokens(" in example.text:
        from datastead import count_tokens

        given["count_tokens"] = count_tokens

    async def run() -> None:
        async with AI() as ai:
            await eval(code, {**given, "ai": ai, "AI": AI})

    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(run())
    else:
        exec(code, given)


@_named([example for example in EXAMPLES if _is_settings(example)])
def test_settings_are_read_as_they_are_written(example: Example, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(example.text)
    assert load_settings({}, cwd=tmp_path).model_fields_set


@_named([example for example in _of("sh", "console") if any(_commands(example))])
def test_commands_run_as_they_are_written(example: Example, variables: dict[str, str]) -> None:
    with serving(_server_settings(variables)) as port:  # roles are named, and made over HTTP only
        for name in ("marketing", "Editors"):
            assert Server(port).post("/roles", {"name": name}).status == 200
        if "user token" in example.text and "user create" not in example.text:
            Server(port).post("/users", {"email": "zoe@example.com"})
    shutil.copytree(ROOT / "examples", "examples")
    for arguments in _commands(example):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, (arguments, done.output, done.exception)


@_named(_of("yaml"))
@pytest.mark.usefixtures("variables")
def test_flows_are_applied_as_they_are_written(example: Example) -> None:
    document = yaml.safe_load(example.text)
    if "operations" in document:
        Path("flow.yaml").write_text(example.text)
        done = CliRunner().invoke(app, ["flow", "apply", "flow.yaml"])
        assert done.exit_code == 0, (done.output, done.exception)


@_named(_of("json"))
def test_json_is_json(example: Example) -> None:
    json.loads(example.text)


def _server_settings(variables: dict[str, str], **more: str) -> Settings:
    return load_settings({**variables, "ADMIN_TOKEN": ADMIN_TOKEN, **more}, cwd=Path.cwd())


@_named([example for example in _of("sh") if re.search(r"^curl|\$\(curl", example.text, flags=re.MULTILINE)])
@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="there is no curl, or no jq")
def test_requests_are_answered_as_they_are_written(example: Example, variables: dict[str, str]) -> None:
    flow = {
        "trigger": "webhook",
        "options": {"method": "GET"},
        "operations": [{"operation": "log", "options": {"message": "x"}}],
    }
    with serving(_server_settings(variables)) as port:
        server = Server(port)
        fields = [{"field": name, "type": "string"} for name in ("title", "status")]
        server.post("/collections", {"collection": "articles", "schema": {}, "fields": fields})
        role = server.post("/roles", {"name": "x"}).data["id"]
        started = server.post("/flows/apply", {"name": "x", **flow}).data["id"]
        server.get(f"/flows/trigger/{started}")
        run = server.get("/flows/runs").data[0]["id"]
        values = {"localhost:8055": f"127.0.0.1:{port}", "127.0.0.1:8055": f"127.0.0.1:{port}", "$TOKEN": ADMIN_TOKEN,
                  "change-me": ADMIN_TOKEN, "…": PASSWORD, "<id of a role>": role, "<id>": run, "curl ": "curl -sS "}  # fmt: skip
        script = example.text
        for shown, value in values.items():
            script = script.replace(shown, value)
        done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    answers = list(_json_values(done.stdout))
    assert answers
    assert all("data" in answer for answer in answers), done.stdout


def _json_values(text: str) -> Iterator[Any]:
    """Several, one after the other."""
    while text := text.strip():
        value, end = json.JSONDecoder().raw_decode(text)
        yield value
        text = text[end:]


@_named(_of("http"))
def test_routes_answer_as_they_are_written(example: Example, variables: dict[str, str]) -> None:
    with serving(_server_settings(variables)) as port:
        server = Server(port)
        server.post("/roles", {"name": "marketing"})
        made = ""
        for method, path, body in re.findall(r"^([A-Z]+) (\S+)\s*(\{.*\})?", example.text, flags=re.MULTILINE):
            answer = server.send(
                method, path.replace(":id", made), json.loads(body.replace(":id", made)) if body else None
            )
            assert answer.status in {200, 204}, answer.body
            made = str(answer.data.get("id", made)) if method == "POST" else made
