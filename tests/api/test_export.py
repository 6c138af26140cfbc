"""`?export=`: items as files."""

import csv
import io
import json
from xml.etree import ElementTree as ET

import pytest
import yaml

from .conftest import Server


@pytest.fixture
def odd(server: Server, articles: str) -> str:
    """Two articles whose values have to be escaped somewhere."""
    rows = [
        {"title": 'A "b", <c> & d', "views": 1, "tags": ["x", "y"], "published": True},
        {"title": "ä\n2", "slug": "=1+1"},
    ]
    assert server.post(f"/items/{articles}", rows).status == 200
    return articles


def test_items_are_exported_as_csv(server: Server, odd: str) -> None:
    answer = server.get(f"/items/{odd}?export=csv&fields=id,title,views,published,tags")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{odd} 20')
    assert answer.body.splitlines()[0] == '"id","title","views","published","tags"'
    assert list(csv.reader(io.StringIO(answer.body)))[1:] == [
        ["1", 'A "b", <c> & d', "1", "true", '["x","y"]'],
        ["2", "ä\n2", "", "", ""],
    ]


def test_items_are_exported_as_json_yaml_and_xml(server: Server, odd: str) -> None:
    items = server.get(f"/items/{odd}?fields=id,title,tags").data
    assert json.loads(server.get(f"/items/{odd}?export=json&fields=id,title,tags").body) == items
    assert yaml.safe_load(server.get(f"/items/{odd}?export=yaml&fields=id,title,tags").body) == items
    found = ET.fromstring(server.get(f"/items/{odd}?export=xml&fields=id,title,tags").body)
    assert [[(entry.tag, entry.text) for entry in item] for item in found] == [
        [("id", "1"), ("title", 'A "b", <c> & d'), ("tags", "x"), ("tags", "y")],
        [("id", "2"), ("title", "ä\n2"), ("tags", None)],
    ]


def test_an_export_of_nothing_is_an_empty_file(server: Server, articles: str) -> None:
    answer = server.get(f"/items/{articles}?export=csv")
    assert (answer.status, answer.body) == (200, "")


def test_an_export_of_an_unknown_kind_is_refused(server: Server, articles: str) -> None:
    for kind in ("exe", "csv&export=json", "{}"):
        answer = server.get(f"/items/{articles}?export={kind}")
        assert (answer.status, answer.code) == (400, "INVALID_QUERY")


@pytest.mark.parametrize("form", ["csv", "json", "yaml", "xml"])
def test_a_long_export_has_each_item_once_and_in_order(server: Server, articles: str, form: str) -> None:
    new = [{"title": f"t{number}", "views": 3000 - number} for number in range(2001)]
    assert server.post(f"/items/{articles}?fields=id", new).status == 200
    server.post(f"/items/{articles}", {"title": "last", "tags": {"a": 1}})
    query = "sort=-views,id&limit=-1&offset=1&fields=title,tags&filter[title][_neq]=t7"
    body = server.get(f"/items/{articles}?export={form}&{query}").body
    read = {
        "csv": lambda: [row["title"] for row in csv.DictReader(io.StringIO(body))],
        "json": lambda: [item["title"] for item in json.loads(body)],
        "yaml": lambda: [line.removeprefix("- title: ") for line in body.splitlines() if line.startswith("- ")],
        "xml": lambda: [item[0].text for item in ET.fromstring(body)],
    }
    expected = [item["title"] for item in server.get(f"/items/{articles}?{query}").data]
    assert len(expected) == 2000
    assert read[form]() == expected
