"""What `rest.py` measures: the tables, the rows in them, and what is asked of both servers."""

from dataclasses import dataclass
from typing import Any

AUTHORS, TAGS = 100, 20
CONTENT = "What there is to say of it, in a few words. " * 8

KEY = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}
COLLECTIONS: dict[str, list[dict[str, Any]]] = {
    "authors": [KEY, {"field": "name", "type": "string"}],
    "tags": [KEY, {"field": "name", "type": "string"}],
    "articles": [
        KEY,
        {"field": "title", "type": "string"},
        {"field": "content", "type": "text"},
        {"field": "status", "type": "string", "schema": {"default_value": "draft"}},
        {"field": "views", "type": "integer", "schema": {"is_indexed": True}},
        {"field": "author", "type": "integer", "meta": {"special": ["m2o"]}},
        {"field": "tags", "type": "alias", "meta": {"special": ["m2m"]}},
    ],
    "articles_tags": [KEY, {"field": "articles_id", "type": "integer"}, {"field": "tags_id", "type": "integer"}],
}
RELATIONS = [
    {"collection": "articles", "field": "author", "related_collection": "authors"},
    {"collection": "articles_tags", "field": "articles_id", "related_collection": "articles",
     "meta": {"one_field": "tags", "junction_field": "tags_id"}},
    {"collection": "articles_tags", "field": "tags_id", "related_collection": "tags",
     "meta": {"junction_field": "articles_id"}},
]  # fmt: skip
FILL = (
    "INSERT INTO authors (name) SELECT 'Author ' || n FROM {few}",
    "INSERT INTO tags (name) SELECT 'Tag ' || n FROM {few} WHERE n <= {tags}",
    (
        "INSERT INTO articles (title, content, status, views, author) SELECT 'Article ' || n, '{content}',"
        " CASE n % 3 WHEN 0 THEN 'published' ELSE 'draft' END, n, 1 + n % {authors} FROM {many}"
    ),
    "INSERT INTO articles_tags (articles_id, tags_id) SELECT n, 1 + n % {tags} FROM {many}",
    "CREATE INDEX articles_tags_of ON articles_tags (articles_id)",
)
NEW = {"title": "A new article", "content": CONTENT, "status": "draft", "views": 5, "author": 7}


@dataclass(frozen=True)
class Case:
    """What is asked of a server. directus: how often a second Directus 12.4 answered it where the goals were set.

    times: the goal and the stretch, in multiples of it. None = no goal. least_s: of load beside a peer, whose answers
    may take seconds.
    """

    name: str
    paths: tuple[str, ...]
    method: str | None = None
    body: Any = None
    directus: float | None = None
    times: tuple[int, int] | None = (6, 10)
    least_s: float = 0


def cases(rows: int) -> list[Case]:
    ids = range(1, rows + 1, max(1, rows // 997))
    joined = "fields=id,title,status,views,author.name&limit=25"
    newest = f"/items/articles?filter[status][_eq]=published&sort=-id&{joined}"
    changed = {"views": 7, "title": "Changed"}
    of_each = tuple(f"/items/articles/{key}" for key in ids)
    return [
        Case("ping", ("/server/ping",), times=None),
        Case("read by id", of_each, directus=218),
        Case("list of 25", (newest,), directus=189),
        Case("list by index", tuple(f"/items/articles?filter[views][_gte]={n}&sort=views&{joined}" for n in ids)),
        Case("create", ("/items/articles",), "POST", NEW, directus=142),
        Case("update", of_each, "PATCH", changed, directus=82),
        Case("create 100", ("/items/articles",), "POST", [NEW] * 100, directus=6.6, times=(15, 20), least_s=10),
    ]
