"""GraphQL as its users have it: Directus's SDK from npm, and the examples of the page."""

import json
import os
import re
import subprocess
from pathlib import Path

from tests.files.test_directus_sdk import project

from .conftest import ADMIN_TOKEN
from .test_realtime_limits import opened

__all__ = ["project"]


def test_the_sdk_writes_and_reads_items(project: Path, tmp_path: Path) -> None:
    with opened(tmp_path) as door:
        command = ["node", "graphql.mjs", f"http://127.0.0.1:{door.port}", ADMIN_TOKEN]
        done = subprocess.run(
            command, cwd=project, capture_output=True, text=True, env=os.environ, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "made": {"create_articles_items": [{"id": "1", "title": "a"}, {"id": "2", "title": "b"}]},
        "read": {"articles": [{"title": "b"}], "articles_aggregated": [{"countAll": 2}]},
        "me": {"users_me": {"email": "admin@example.com"}},
        "wrong": "GRAPHQL_VALIDATION",
    }


def test_the_requests_of_the_page_are_answered(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/graphql.md").read_text()
    with opened(tmp_path) as door:
        server = door.http
        articles = {"field": "articles", "type": "alias", "meta": {"special": ["o2m"]}}
        fields = [{"field": "name", "type": "string"}, articles]
        server.post("/collections", {"collection": "authors", "schema": {}, "meta": {}, "fields": fields})
        server.send("DELETE", "/fields/articles/published")
        for name, kind in (("author", "integer"), ("published", "timestamp")):
            assert server.post("/fields/articles", {"field": name, "type": kind}).status == 200
        relation = {"collection": "articles", "field": "author", "related_collection": "authors"}
        assert server.post("/relations", {**relation, "meta": {"one_field": "articles"}}).status == 200
        server.post(
            "/items/articles", {"title": "Bread", "author": {"name": "Ann"}, "published": "2024-02-29T12:00:00Z"}
        )
        examples = re.findall(r"```graphql\n(.*?)```", text, flags=re.DOTALL)
        answers = [server.post("/graphql", {"query": example}).json for example in examples]
    assert [answer.get("errors") for answer in answers] == [None] * 3
    assert answers[0]["data"]["authors"] == [{"name": "Ann", "latest": [{"title": "Bread"}]}]
    assert answers[2]["data"]["update_articles_items"] == [{"title": "Bread", "author": {"name": "Ann"}}]
