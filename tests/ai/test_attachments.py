"""Attachments, turns and tools as callers write them: resolved before anything is held, or refused with a type."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from datastead import AI, PUBLIC, Context, Settings, message_json
from datastead.ai.attachments import MAX_BYTES
from datastead.ai.conversation import conversation
from datastead.errors import AIError, Forbidden, InvalidOutput, InvalidRequest, RequestRefused, UnsupportedCapability
from datastead.messages import Attachment, Message, Reasoning, Text, ToolCall, ToolResult
from datastead.testing.simulator import Simulator
from tests.ai.conftest import REGISTRY, WIRES, House

MakeSettings = Callable[..., Settings]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\x00" * 50
PDF = b"%PDF-1.4\n1 0 obj << /Type /Page >> endobj\n%%EOF"
PNG_TEXT = base64.b64encode(PNG).decode()
FILE = {"type": "file", "fileId": "png"}
SERVICES: Any = None
CTX = Context(SERVICES, PUBLIC)


class Shelf:
    """A file source with three files, which says how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_empty = False

    async def read(self, ctx: Context, file_id: str, *, max_bytes: int) -> Attachment:
        self.asked.append(file_id)
        files = {
            "png": ("image/png", PNG, "a.png"),
            "pdf": ("application/pdf", PDF, "a.pdf"),
            "lie": ("image/png", JPEG, "b.png"),
        }
        if file_id not in files or self.is_empty:
            raise Forbidden
        media_type, data, name = files[file_id]
        assert len(data) <= max_bytes
        return Attachment(media_type, data=data, filename=name)


@pytest.fixture
async def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
async def ai(settings: MakeSettings, shelf: Shelf) -> AsyncIterator[AI]:
    async with AI(settings(import_ip_allow_list=["127.0.0.1"]), registry=REGISTRY, files=shelf) as ai:
        yield ai


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """A web site with files."""

    async def serve(request: web.Request) -> web.Response:
        found = {
            "a.png": (PNG, "image/png"),
            "wrong": (PNG, "text/html"),
            "bin": (PNG, "application/octet-stream"),
            "note.txt": (b"Salt.", "text/plain; charset=utf-8"),
        }
        if request.match_info["name"] == "big":
            return web.Response(body=b"\x89PNG\r\n\x1a\n" + b"0" * MAX_BYTES, content_type="image/png")
        if request.match_info["name"] not in found:
            return web.Response(status=404)
        body, kind = found[request.match_info["name"]]
        return web.Response(body=body, headers={"content-type": kind})

    app = web.Application()
    app.router.add_get("/{name}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize("wire", [name for name in WIRES if name != "openai-compatible"])
@pytest.mark.parametrize(
    "given",
    [
        {"type": "file", "fileId": "png"},
        {"type": "data", "data": PNG_TEXT, "mediaType": "image/png"},
        {"type": "data", "data": PNG_TEXT},
        {"type": "data", "data": f"data:image/png;base64,{PNG_TEXT}"},
        {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{PNG_TEXT}", "filename": "a.png"},
        Attachment("image/x-png", data=PNG),
    ],
)
async def test_an_image_reaches_every_wire_as_bytes_however_it_is_given(
    ai: AI, simulator: Simulator, wire: str, given: Any
) -> None:
    await ai.generate("What is it?", model=WIRES[wire], attachments=[given], context=CTX)
    sent = json.dumps(simulator.requests[-1]["json"])
    assert PNG_TEXT in sent
    assert "image/png" in sent


@pytest.mark.parametrize("name", ["a.png", "wrong", "bin"])
async def test_an_address_is_fetched_by_us_and_its_bytes_decide(
    ai: AI, simulator: Simulator, site: str, name: str
) -> None:
    if name == "wrong":
        with pytest.raises(InvalidRequest):
            await ai.generate("?", model="gpt-4.1", attachments=[{"type": "url", "url": f"{site}/{name}"}])
        return
    await ai.generate("?", model="gpt-4.1", attachments=[{"type": "url", "url": f"{site}/{name}"}])
    sent = json.dumps(simulator.requests[-1]["json"])
    assert (PNG_TEXT in sent, site in sent) == (True, False)


async def test_an_attachment_that_only_has_an_address_is_not_passed_on(ai: AI, simulator: Simulator, site: str) -> None:
    await ai.generate("?", model="claude-haiku-4-5", attachments=[Attachment("", url=f"{site}/a.png")])
    assert site not in json.dumps(simulator.requests[-1]["json"])


async def test_files_among_the_turns_are_read_once(ai: AI, shelf: Shelf, simulator: Simulator) -> None:
    part = {"type": "file", "fileId": "pdf"}
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "One"}, part]},
        {"role": "assistant", "content": "Ah."},
    ]
    await ai.generate("And this?", model="claude-haiku-4-5", messages=turns, attachments=[part], context=CTX)
    assert shelf.asked == ["pdf"]
    assert json.dumps(simulator.requests[-1]["json"]).count(base64.b64encode(PDF).decode()) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_its_key_has_answered_reads_no_file_again(
    ai: AI, shelf: Shelf, simulator: Simulator, stream: bool
) -> None:
    simulator.script({"text": "A dot."})
    options: dict[str, Any] = {"model": "claude-haiku-4-5", "attachments": [FILE], "context": CTX, "key": "step-1"}
    first = await ai.generate("What is it?", **options)
    shelf.is_empty = True
    again = await (
        ai.generate_stream("What is it?", **options).collect() if stream else ai.generate("What is it?", **options)
    )
    assert (again, shelf.asked, len(simulator.requests)) == (first, ["png"], 1)


async def test_an_answer_that_was_mended_is_given_again_without_its_file(
    ai: AI, shelf: Shelf, simulator: Simulator
) -> None:
    simulator.script([{"text": "?"}, {"text": '{"colour": "red"}'}])
    schema = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}
    options: dict[str, Any] = {"attachments": [FILE], "context": CTX, "key": "step-1", "schema": schema}
    first = await ai.object("Which colour?", model="claude-haiku-4-5", **options)
    shelf.is_empty = True
    again = await ai.object("Which colour?", model="claude-haiku-4-5", **options)
    assert (again, first.object, len(simulator.requests)) == (first, {"colour": "red"}, 2)


async def test_a_key_without_an_answer_needs_its_file(ai: AI, shelf: Shelf, simulator: Simulator) -> None:
    """Of an answer that has still to be mended, too."""
    simulator.script([{"text": "?"}, {"kind": "bad-key"}])
    schema = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}
    options: dict[str, Any] = {"attachments": [FILE], "context": CTX, "key": "step-1", "schema": schema}
    with pytest.raises(InvalidOutput):
        await ai.object("Which colour?", model="claude-haiku-4-5", **options)
    shelf.is_empty = True
    for key in ("step-1", "step-2"):
        with pytest.raises(Forbidden):
            await ai.object("Which colour?", model="claude-haiku-4-5", **{**options, "key": key})


async def test_a_text_file_is_sent_as_text(ai: AI, simulator: Simulator, site: str) -> None:
    await ai.generate("?", model="gpt-4.1", attachments=[{"type": "url", "url": f"{site}/note.txt"}])
    assert "note.txt:\\nSalt." in json.dumps(simulator.requests[-1]["json"])


REFUSED: list[tuple[Any, type[Exception]]] = [
    ({"type": "file", "fileId": "nothing"}, Forbidden),
    ({"type": "file", "fileId": "lie"}, InvalidRequest),
    ({"type": "data", "data": base64.b64encode(JPEG).decode(), "mediaType": "image/png"}, InvalidRequest),
    ({"type": "data", "data": base64.b64encode(b"<script>").decode(), "mediaType": "image/png"}, InvalidRequest),
    ({"type": "data", "data": base64.b64encode(b"hello").decode(), "mediaType": "application/pdf"}, InvalidRequest),
    ({"type": "data", "data": base64.b64encode(b"<svg xmlns='x'/>").decode()}, UnsupportedCapability),
    ({"type": "data", "data": base64.b64encode(b"PK\x03\x04" + b"\x00" * 40).decode()}, UnsupportedCapability),
    ({"type": "data", "data": base64.b64encode(b"\x00\x01\x02").decode()}, InvalidRequest),
    ({"type": "data", "data": "not base64!", "mediaType": "image/png"}, InvalidRequest),
    ({"type": "data", "data": "", "mediaType": "image/png"}, InvalidRequest),
    ({"type": "data", "data": 5, "mediaType": "image/png"}, InvalidRequest),
    ({"type": "data", "data": "A" * (MAX_BYTES * 4 // 3 + 9), "mediaType": "image/png"}, InvalidRequest),
    ({"type": "url", "url": "file:///etc/hostname"}, InvalidRequest),
    ({"type": "url", "url": "SITE/nothing"}, InvalidRequest),
    ({"type": "url", "url": "SITE/big"}, RequestRefused),
    ({"type": "url", "url": "http://169.254.169.254/latest"}, RequestRefused),
    ({"type": "url", "url": "http://[::1]/"}, RequestRefused),
    ({"type": "provider-file", "id": "file-1"}, InvalidRequest),
    ({"type": "picture"}, InvalidRequest),
    ("a.png", InvalidRequest),
    (Attachment("image/png", data=b""), InvalidRequest),
]


@pytest.mark.parametrize(("given", "error"), REFUSED)
async def test_what_is_no_attachment_is_refused_before_anything_is_held(
    ai: AI, simulator: Simulator, site: str, given: Any, error: type[Exception]
) -> None:
    if isinstance(given, dict) and str(given.get("url", "")).startswith("SITE"):
        given = {**given, "url": given["url"].replace("SITE", site)}
    with pytest.raises(error):
        await ai.generate("?", model="gpt-4.1", attachments=[given], context=CTX)
    assert simulator.requests == []


async def test_a_model_that_takes_no_files_reads_none(ai: AI, shelf: Shelf, simulator: Simulator) -> None:
    with pytest.raises(UnsupportedCapability) as caught:
        await ai.generate("?", model="local", attachments=[{"type": "file", "fileId": "png"}], context=CTX)
    assert (caught.value.details["capability"], shelf.asked, simulator.requests) == ("attachment", [], [])


async def test_a_file_of_the_platform_needs_somebody_to_read_it_as(ai: AI) -> None:
    with pytest.raises(InvalidRequest):
        await ai.generate("?", model="gpt-4.1", attachments=[{"type": "file", "fileId": "png"}])


async def test_nothing_is_read_inside_a_transaction(ai: AI, shelf: Shelf) -> None:
    connection: Any = object()
    with pytest.raises(InvalidRequest):
        await ai.generate(
            "?", model="gpt-4.1", attachments=[{"type": "file", "fileId": "png"}],
            context=Context(SERVICES, PUBLIC, connection=connection),
        )  # fmt: skip
    assert shelf.asked == []


TOOLS = [
    {
        "name": "weather",
        "description": "Tells it.",
        "inputSchema": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
    {"name": "time", "parameters": {"type": "object", "properties": {}}},
]
TURNS: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Weather in Bern?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "Let me see."}, {"type": "tool-call", "id": "1", "name": "weather", "arguments": {"city": "Bern"}}]},
    {"role": "tool", "content": [{"type": "tool-result", "id": "1", "name": "weather", "content": {"sky": "blue"}}]},
]  # fmt: skip


@pytest.mark.parametrize("wire", WIRES)
async def test_turns_and_tools_are_json_on_every_wire(house: House, simulator: Simulator, wire: str) -> None:
    await house.ai.generate(model=WIRES[wire], provider=wire, messages=TURNS, tools=TOOLS, tool_choice="time")
    sent = json.dumps(simulator.requests[-1]["json"])
    assert all(text in sent for text in ("Be brief.", "Let me see.", "Bern", "sky", "weather", "time"))


def test_a_turn_as_json_is_read_as_the_same_turn() -> None:
    turn = Message(
        "assistant",
        (Reasoning("Hm.", {"signature": "s"}), Text("Yes."), ToolCall("1", "look", {"a": [1]}, {"id": "1"}),
         Attachment("image/png", data=PNG, filename="a.png"), Attachment("application/pdf", file_id="file-1")),
    )  # fmt: skip
    answer = Message("tool", (ToolResult("1", "look", "gone", is_error=True),))
    written = json.loads(json.dumps([message_json(turn), message_json(answer)]))
    assert conversation(written) == ([], [turn, answer])


@pytest.mark.parametrize(
    "options",
    [
        {"tools": [{"description": "no name"}]},
        {"tools": [{"name": "a"}, {"name": "a"}]},
        {"tools": [{"name": "a", "inputSchema": 5}]},
        {"tools": "weather"},
        {"tools": TOOLS, "tool_choice": "wether"},
        {"tool_choice": "weather"},
        {"tool_choice": "required"},
        {"tools": TOOLS, "tool_choice": 5},
        {"messages": "Hi"},
        {"messages": [5]},
        {"messages": [{"role": "user", "content": [{"type": "tool-call", "id": "1", "name": "a"}]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "tool-call", "id": "1", "name": "a", "arguments": "{}"}]}]},
        {"messages": [{"role": "tool", "content": "text"}]},
        {"messages": [{"role": "system", "content": [{"type": "file", "fileId": "png"}]}]},
        {"attachments": "a.png"},
        {"attachments": {"type": "file", "fileId": "png"}},
        {"system": 5},
        {"overflow": "cut"},
    ],
)  # fmt: skip
async def test_what_is_wrong_is_refused_by_name(house: House, simulator: Simulator, options: dict[str, Any]) -> None:
    with pytest.raises(AIError) as caught:
        await house.ai.generate("Hi", **{"model": "gpt-4.1", **options})
    assert caught.value.code == "INVALID_REQUEST"
    assert caught.value.details["parameter"]
    assert simulator.requests == []


async def test_a_model_that_calls_no_tools_is_not_called(settings: MakeSettings, simulator: Simulator) -> None:
    own = settings(ai_openai_compatible_models=[{"id": "plain", "tools": False}])
    async with AI(own, registry=REGISTRY) as ai:
        with pytest.raises(UnsupportedCapability) as caught:
            await ai.generate("Hi", model="plain", tools=TOOLS)
    assert (caught.value.details["capability"], simulator.requests) == ("tools", [])


@pytest.mark.parametrize("wire", WIRES)
async def test_a_path_is_read_where_the_model_takes_files(
    settings: MakeSettings, simulator: Simulator, tmp_path: Path, wire: str
) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    local = [{"id": "local", "attachment": True, "cost": {"input": 1, "output": 2}}]
    async with AI(settings(ai_openai_compatible_models=local), registry=REGISTRY) as ai:
        await ai.generate("What?", provider=wire, model=WIRES[wire], attachments=[tmp_path / "a.png"])
        assert PNG_TEXT in json.dumps(simulator.requests[-1]["json"])
        for given in (tmp_path / "none.png", tmp_path):
            with pytest.raises(InvalidRequest):
                await ai.generate("What?", provider=wire, model=WIRES[wire], attachments=[given])
        with pytest.raises(InvalidRequest):  # text is never a path: it may come from anywhere
            await ai.generate("What?", provider=wire, model=WIRES[wire], attachments=[str(tmp_path / "a.png")])
    assert len(simulator.requests) == 1
