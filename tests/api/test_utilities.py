"""`/utils`: hashes, random texts, and the order of items."""

from uuid import uuid4

import pytest

from .conftest import Server


def test_a_hash_is_made_and_verified(server: Server) -> None:
    made = server.post("/utils/hash/generate", {"string": "abc"}).data
    assert made.startswith("$argon2id$")
    assert server.post("/utils/hash/verify", {"string": "abc", "hash": made}).data is True
    assert server.post("/utils/hash/verify", {"string": "abd", "hash": made}).data is False
    assert server.post("/utils/hash/verify", {"string": "abc", "hash": "nonsense"}).data is False


def test_a_hash_that_asks_for_too_much_is_not_worked_out(server: Server) -> None:
    bomb = "$argon2id$v=19$m=4194304,t=100,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43
    assert server.post("/utils/hash/verify", {"string": "abc", "hash": bomb}).data is False


def test_a_random_text_has_the_length_that_was_asked_for(server: Server) -> None:
    texts = {server.get("/utils/random/string?length=12").data for _ in range(3)}
    assert {len(text) for text in texts} == {12}
    assert len(texts) == 3
    assert len(server.get("/utils/random/string").data) == 32


@pytest.mark.parametrize("length", ["0", "501", "-1", "x", "1e3", "99999999999"])
def test_a_length_that_is_none_is_refused(server: Server, length: str) -> None:
    answer = server.get(f"/utils/random/string?length={length}")
    assert (answer.status, answer.code) == (400, "INVALID_PAYLOAD")


def test_the_utilities_are_for_those_who_are_signed_in(server: Server) -> None:
    assert server.public.get("/utils/random/string").status == 401
    assert server.public.post("/utils/hash/generate", {"string": "abc"}).status == 401
    assert server.public.post("/utils/cache/clear", {}).status == 403
    assert server.post("/utils/hash/generate", {"string": 5}).code == "INVALID_PAYLOAD"


def test_items_are_moved_in_their_order(server: Server) -> None:
    name = f"steps_{uuid4().hex[:8]}"
    fields = [{"field": "place", "type": "integer"}]
    assert server.post("/collections", {"collection": name, "schema": {}, "fields": fields}).status == 200
    server.post(f"/items/{name}", [{}, {}, {}])
    assert server.post(f"/utils/sort/{name}", {"item": 1, "to": 2}).code == "INVALID_PAYLOAD"
    assert server.send("PATCH", f"/collections/{name}", {"meta": {"sort_field": "place"}}).status == 200
    assert server.post(f"/utils/sort/{name}", {"item": 3, "to": 1}).status == 204
    assert [item["id"] for item in server.get(f"/items/{name}?sort=place").data] == [3, 1, 2]
    for body in ({"item": 1}, {"item": [1], "to": 2}, {"item": None, "to": 2}, {"item": 1, "to": True}):
        assert server.post(f"/utils/sort/{name}", body).code == "INVALID_PAYLOAD"
    assert server.public.post(f"/utils/sort/{name}", {"item": 3, "to": 1}).code == "FORBIDDEN"
