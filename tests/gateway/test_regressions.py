"""What gateways of others got wrong, by thread (github.com/BerriAI/litellm/issues/<number>), and must not happen here."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from datastead.testing import Simulator

from .conftest import TOKEN, Gateway, until

ASK: Any = [{"role": "user", "content": "Count."}]


def test_a_cap_holds_for_first_requests_that_come_at_once(own_gateway: Gateway, simulator: Simulator) -> None:
    """40095: the first requests, all at once, passed the cap together."""
    simulator.default({"delay_s": 0.2, "usage": {"input": 100, "output": 1000}})
    own_gateway.budget(limit_nano_usd=12_000_000)  # 0.012 USD; a call is 0.0021 USD, and may be at most about 0.0028

    def ask(_: int) -> int:
        body = {"model": "local", "messages": ASK, "max_tokens": 1000}
        return own_gateway.post("/ai/v1/chat/completions", body).status

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(ask, range(16)))
    spent = sum(row["cost_nano_usd"] for row in own_gateway.rows(state="settled"))
    assert 0 < spent <= 12_000_000
    assert set(statuses) == {200, 402}


@pytest.mark.parametrize(
    ("door", "asked"), [("chat/completions", {"messages": ASK}), ("responses", {"input": "Count."})]
)
def test_a_stream_whose_client_left_is_billed(gateway: Gateway, simulator: Simulator, door: str, asked: Any) -> None:
    """14457, 13245, 35958: an aborted stream cost nothing."""
    simulator.default({"text": "word " * 400, "chunks": 400, "chunk_delay_s": 0.01})
    before = len(gateway.rows())
    raw = json.dumps({"model": "claude-haiku-4-5", "stream": True, **asked}).encode()
    head = (
        f"POST /ai/v1/{door} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(head.encode() + raw)
        received = b""
        while received.count(b"word") < 3:
            piece = connection.recv(4096)
            assert piece, received
            received += piece
    row = until(lambda: [row for row in gateway.rows()[before:] if row["state"] != "held"])[0]
    assert row["cost_nano_usd"] > 0
    assert row["usage_source"] == "estimated"


def test_a_refused_call_leaves_no_hold_behind(own_gateway: Gateway, simulator: Simulator) -> None:
    """38111: a route never gave back what it had reserved, until everything was refused."""
    own_gateway.budget(limit_nano_usd=4_000_000)
    simulator.default({"kind": "context-length"})
    for _ in range(5):
        answer = own_gateway.post("/ai/v1/chat/completions", {"model": "local", "messages": ASK, "max_tokens": 1000})
        assert answer.status == 400
    simulator.default({"kind": "answer"})
    answer = own_gateway.post("/ai/v1/chat/completions", {"model": "local", "messages": ASK, "max_tokens": 1000})
    assert answer.status == 200, answer.body


def test_a_model_without_a_price_is_refused_under_a_cap_and_not_free(own_gateway: Gateway) -> None:
    """36561, 35914, 25874: a model without a price passed every budget, at a cost of 0."""
    own_gateway.budget(limit_nano_usd=1_000_000_000)
    with pytest.raises(openai.APIStatusError) as caught:
        own_gateway.client().chat.completions.create(model="unpriced", messages=ASK)
    assert (caught.value.status_code, caught.value.code) == (402, "unpriced_model")
