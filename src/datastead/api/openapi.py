"""What the API reference says beside what FastAPI finds out: bodies, `/items`, tokens; and the page that shows it."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

import datastead
from datastead.api.answers import Json
from datastead.api.gateway.reference import model_paths

Schema = Mapping[str, Any]

OBJECT: Schema = {"type": "object", "additionalProperties": True}
_QUERY = {
    "fields": "Which fields, by commas: `*`, `title,author.name`.",
    "filter": 'Which items: `{"views": {"_gt": 5}}`, or `filter[views][_gt]=5`.',
    "sort": "Order, by commas; `-views` is descending.",
    "limit": "How many at most; -1 = all.",
    "offset": "How many to leave out first.",
    "page": "Which page of `limit` items, from 1.",
    "search": "Text to look for in all text fields.",
    "meta": "`total_count`, `filter_count` or `*`.",
}


def body_of(**properties: Schema) -> dict[str, Any]:
    """`openapi_extra` for a route whose body is an object with these properties."""
    return json_body({"type": "object", "properties": properties, "required": list(properties)[:1]})


def json_body(schema: Schema) -> dict[str, Any]:
    """`openapi_extra` for a route with a JSON body."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def install_reference(app: FastAPI) -> None:
    """`/openapi.json`, and `/docs` that shows it: one page that loads nothing from elsewhere."""
    page = files("datastead.api").joinpath("docs.html").read_text(encoding="utf-8")

    async def openapi(_: Request) -> Response:
        return Json(_openapi(app))

    async def docs(_: Request) -> Response:
        return HTMLResponse(page, headers={"content-security-policy": _POLICY})

    app.add_route("/openapi.json", openapi, include_in_schema=False)
    app.add_route("/docs", docs, include_in_schema=False)


_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Made on first use: it takes longer than all the rest of the start."""
    if app.openapi_schema is None:
        found = get_openapi(
            title="Datastead",
            version=datastead.__version__,
            description=(datastead.__doc__ or "").partition("\n")[0],
            routes=app.routes,
        )
        found["paths"] = {**_items_paths(), **model_paths(), **found["paths"]}
        found.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}, {}]
        app.openapi_schema = found
    return app.openapi_schema


def _items_paths() -> dict[str, Any]:
    collection, key = _in_path("collection"), _in_path("key")
    queries = [{"name": name, "in": "query", "description": text, "schema": {}} for name, text in _QUERY.items()]
    one_or_many = {"oneOf": [OBJECT, {"type": "array", "items": OBJECT}]}
    delete = {
        "oneOf": [{"type": "array"}, {"type": "object", "properties": {"keys": {"type": "array"}, "query": OBJECT}}]
    }
    update = {"oneOf": [{"type": "array", "items": OBJECT}, _object("data", "keys", "query")]}
    return {
        "/items/{collection}": {
            "parameters": [collection],
            "get": _operation("List items", parameters=queries),
            "post": _operation("Create one item or many", body=one_or_many),
            "patch": _operation("Update many items", body=update),
            "delete": _operation("Delete many items", body=delete),
        },
        "/items/{collection}/{key}": {
            "parameters": [collection, key],
            "get": _operation("Read one item", parameters=queries[:1]),
            "patch": _operation("Update one item", body=OBJECT),
            "delete": _operation("Delete one item"),
        },
    }


def _object(*names: str) -> Schema:
    return {"type": "object", "properties": {name: {} for name in names}}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _operation(summary: str, *, parameters: Any = (), body: Schema | None = None) -> dict[str, Any]:
    answers = {"200": {"description": "`{data: …}`"}, "400": {"description": "`{errors: [{message, extensions}]}`"}}
    more = json_body(body) if body is not None else {}
    return {"tags": ["Items"], "summary": summary, "parameters": list(parameters), "responses": answers, **more}
