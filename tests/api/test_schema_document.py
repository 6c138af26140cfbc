"""`/schema`: the wire shapes of a snapshot, a diff and its application."""

import json

import yaml

from .conftest import Server


def test_a_schema_is_taken_compared_and_applied(server: Server, articles: str) -> None:
    before = server.get("/schema/snapshot").data
    assert {"version", "directus", "vendor", "collections", "fields", "relations", "systemFields"} == set(before)
    assert server.post("/schema/diff", before).status == 204
    assert server.send("PATCH", f"/collections/{articles}", {"meta": {"note": "changed"}}).status == 200
    found = server.post("/schema/diff", before).data
    assert [entry["collection"] for entry in found["diff"]["collections"]] == [articles]
    stale = server.post("/schema/apply", {**found, "hash": "wrong"})
    assert (stale.status, stale.code) == (400, "INVALID_PAYLOAD")
    assert server.post("/schema/apply", found).status == 204
    assert server.post("/schema/diff", {"data": before}).status == 204
    assert server.post("/schema/diff", {"collections": 5}).code == "INVALID_PAYLOAD"
    assert server.public.get("/schema/snapshot").status == 403


def test_a_snapshot_is_a_file_where_it_is_exported(server: Server, articles: str) -> None:
    whole = server.get("/schema/snapshot").data
    for form, read in (("json", json.loads), ("yaml", yaml.safe_load)):
        answer = server.get(f"/schema/snapshot?export={form}")
        assert answer.headers["content-disposition"].endswith(f'.{form}"')
        assert read(answer.body) == whole
    assert server.get("/schema/snapshot?export=").data == whole
    for wrong in ("export=xml", "export[a]=json", "export[]=json", "export=json&export=yaml", "export=%00"):
        assert server.get(f"/schema/snapshot?{wrong}").code == "INVALID_QUERY", wrong
