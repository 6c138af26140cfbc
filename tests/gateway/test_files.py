"""Files of the platform in a call over HTTP, by their id."""

import json
from typing import Any
from uuid import uuid4

import pytest

from datastead.testing import Simulator

from .conftest import PIXEL, TOKEN, WIRES, Gateway


@pytest.fixture
def image(gateway: Gateway) -> str:
    """An uploaded image's id."""
    from base64 import b64decode
    from http.client import HTTPConnection

    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "multipart/form-data; boundary=x"}
    connection.request("POST", "/files", head + b64decode(PIXEL) + b"\r\n--x--\r\n", headers)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    assert answer.status == 200, body
    return str(body["data"]["id"])


@pytest.mark.parametrize("stream", [False, True])
def test_a_file_of_the_platform_goes_with_a_prompt_by_its_id(
    gateway: Gateway, simulator: Simulator, wire: str, image: str, stream: bool
) -> None:
    asked: dict[str, Any] = {"model": WIRES[wire], "maxTokens": 50, "stream": stream}
    attached = [{"type": "file", "fileId": image}]
    answer = gateway.post("/ai/generate", {**asked, "prompt": "What is this?", "attachments": attached})
    assert answer.status == 200, answer.body
    assert PIXEL in json.dumps(simulator.requests[-1]["json"])
    assert gateway.row(answer.headers["x-datastead-call"])["state"] == "settled"


def test_openais_clients_name_a_file_of_the_platform_too(gateway: Gateway, simulator: Simulator, image: str) -> None:
    parts: Any = [{"type": "text", "text": "What is this?"}, {"type": "file", "file": {"file_id": image}}]
    chat = gateway.client().chat.completions
    chat.create(model="claude-haiku-4-5", messages=[{"role": "user", "content": parts}], max_tokens=50)
    assert PIXEL in json.dumps(simulator.requests[-1]["json"])
    items: Any = [{"role": "user", "content": [{"type": "input_image", "file_id": image}]}]
    gateway.client().responses.create(model="gpt-4.1", input=items, max_output_tokens=50)
    assert PIXEL in json.dumps(simulator.requests[-1]["json"])


def test_a_file_that_is_not_there_is_no_mistake_of_the_servers(gateway: Gateway) -> None:
    nowhere = "00000000-0000-4000-8000-000000000000"
    asked = {"model": "gpt-4.1", "prompt": "What?", "attachments": [{"type": "file", "fileId": nowhere}]}
    assert gateway.post("/ai/generate", asked).code == "FORBIDDEN"
    parts = [{"type": "file", "file": {"file_id": nowhere}}]
    answer = gateway.post(
        "/ai/v1/chat/completions", {"model": "gpt-4.1", "messages": [{"role": "user", "content": parts}]}
    )
    assert (answer.status, answer.json["error"]["code"]) == (403, "permission_denied")


def test_an_uploaded_image_is_analysed_by_a_flow_that_a_webhook_starts(
    gateway: Gateway, simulator: Simulator, wire: str, image: str
) -> None:
    """The whole way of the AI guide's example over HTTP: upload, flow, webhook, answer, ledger."""
    options = {
        "provider": wire,
        "model": WIRES[wire],
        "prompt": "Describe this image in detail",
        "attachments": [{"type": "file", "fileId": "{{$trigger.body.image}}"}],
    }
    flow = {
        "name": f"describe with {wire}",
        "trigger": "webhook",
        "options": {"method": "POST", "return": "$last"},
        "operations": [{"operation": "ai-analyze-image", "options": options}],
    }
    flow_id = gateway.post("/flows/apply", flow).data["id"]
    simulator.script({"text": "A dot."})
    # A webhook of nobody may not read the file, and one of the administrator's may.
    assert "FORBIDDEN" in gateway.post(f"/flows/trigger/{flow_id}", {"image": image}, token=None).body
    assert simulator.requests == []
    answer = gateway.post(f"/flows/trigger/{flow_id}", {"image": image})
    assert answer.status == 200, answer.body
    assert (answer.json["content"], answer.json["provider"]) == ("A dot.", wire)
    assert PIXEL in json.dumps(simulator.requests[-1]["json"])
    row = gateway.row(answer.json["call"])
    assert (row["state"], row["flow"], row["purpose"]) == ("settled", flow_id, "ai-analyze-image")


@pytest.fixture
def user_token(gateway: Gateway) -> str:
    """Of somebody who may call models, and has no policy to read files."""
    token = uuid4().hex
    made = gateway.post("/users", {"email": f"{uuid4().hex}@example.com", "token": token})
    assert made.status == 200, made.body
    return token


def test_a_user_gets_through_a_model_no_file_that_is_not_theirs_to_read(
    gateway: Gateway, simulator: Simulator, image: str, user_token: str
) -> None:
    asked = {"model": "gpt-4.1", "prompt": "What?", "maxTokens": 50}
    assert gateway.post("/ai/generate", asked, token=user_token).status == 200
    sent = len(simulator.requests)
    parts = [{"type": "file", "file": {"file_id": image}}]
    chat = {"model": "gpt-4.1", "messages": [{"role": "user", "content": parts}]}
    named = {**asked, "attachments": [{"type": "file", "fileId": image}]}
    inside = {**asked, "attachments": [{"type": "url", "url": f"http://127.0.0.1:{gateway.port}/settings"}]}
    assert gateway.post("/ai/generate", named, token=user_token).code == "FORBIDDEN"
    assert gateway.post("/ai/v1/chat/completions", chat, token=user_token).status == 403
    assert gateway.post("/ai/generate", inside, token=user_token).code == "REQUEST_REFUSED"
    assert len(simulator.requests) == sent


@pytest.mark.parametrize("option", ["context", "provider_options", "providerOptions", "inDoubt", "in_doubt", "user"])
def test_nobody_says_over_http_who_asks_or_what_is_sent(gateway: Gateway, user_token: str, option: str) -> None:
    asked = {"model": "gpt-4.1", "prompt": "What?", option: {"user": "somebody"}}
    assert gateway.post("/ai/generate", asked, token=user_token).code == "INVALID_REQUEST"
