"""A client that leaves: the provider is stopped, and what has arrived is settled."""

import json
import socket
from typing import Any

import pytest

from datastead.testing import Simulator

from .conftest import TOKEN, WIRES, Gateway, until

PATHS = {
    "/ai/generate": {"prompt": "Count."},
    "/ai/v1/chat/completions": {"messages": [{"role": "user", "content": "Count."}]},
    "/ai/v1/responses": {"input": "Count."},
}


def _connected(gateway: Gateway, path: str, body: Any) -> socket.socket:
    raw = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(raw)}\r\n\r\n"
    connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
    connection.sendall(head.encode() + raw)
    return connection


@pytest.mark.parametrize("path", list(PATHS))
def test_a_client_that_leaves_a_stream_stops_the_provider_and_pays_what_came(
    gateway: Gateway, simulator: Simulator, path: str, wire: str
) -> None:
    simulator.default({"text": "word " * 400, "chunks": 400, "chunk_delay_s": 0.02})
    before = len(gateway.rows())
    connection = _connected(gateway, path, {"model": WIRES[wire], "stream": True, **PATHS[path]})
    received = b""
    while received.count(b"word") < 5:
        piece = connection.recv(4096)
        assert piece, received
        received += piece
    connection.close()
    until(lambda: simulator.requests[-1]["disconnected"])
    row = until(lambda: [row for row in gateway.rows()[before:] if row["state"] != "held"])[0]
    assert (row["state"], row["usage_source"], row["error_code"]) == ("settled", "estimated", "CANCELLED")
    assert 5 <= row["output_tokens"] < 800


def test_a_client_that_leaves_before_a_whole_answer_stops_the_provider(gateway: Gateway, simulator: Simulator) -> None:
    simulator.default({"delay_s": 2})
    before = len(gateway.rows())
    connection = _connected(gateway, "/ai/generate", {"model": "local", "prompt": "Count."})
    until(lambda: simulator.requests)
    connection.close()
    row = until(lambda: [row for row in gateway.rows()[before:] if row["state"] != "held"], 1.5)[0]
    assert row["error_code"] == "CANCELLED"


def test_the_server_goes_on_after_clients_that_left(gateway: Gateway, simulator: Simulator) -> None:
    simulator.default({"text": "word " * 400, "chunks": 400, "chunk_delay_s": 0.02})
    for _ in range(5):
        _connected(gateway, "/ai/generate", {"model": "local", "prompt": "Count.", "stream": True}).close()
    simulator.reset()
    assert gateway.post("/ai/generate", {"model": "local", "prompt": "Hi"}).status == 200
    until(lambda: not gateway.rows(state="held"))
