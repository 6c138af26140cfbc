"""What the API reference says beside what FastAPI finds out: bodies, `/items`, tokens; and the page that shows it."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

import datastead
from datastead.api.answers import Json
from datastead.api.gateway.reference import model_paths
from datastead.api.request import context_of, parameters_of
from datastead.api.specification import Specification
from datastead.context import Context
from datastead.data.workspace import RESOURCES

Schema = Mapping[str, Any]

OBJECT: Schema = {"type": "object", "additionalProperties": True}
ONE_OR_MANY: Schema = {"oneOf": [OBJECT, {"type": "array", "items": OBJECT}]}
_QUERY = {
    "fields": "Which fields, by commas: `*`, `title,author.name`.",
    "filter": 'Which items: `{"views": {"_gt": 5}}`, or `filter[views][_gt]=5`.',
    "sort": "Order, by commas; `-views` is descending.",
    "limit": "How many at most; -1 = all.",
    "offset": "How many to leave out first.",
    "page": "Which page of `limit` items, from 1.",
    "search": "Text to look for in all text fields.",
    "meta": "`total_count`, `filter_count` or `*`.",
    "alias": "Other names for fields, as an object.",
    "deep": "What is asked of related items, as an object.",
    "aggregate": "Sums: an object of functions and fields.",
    "groupBy": "Fields by which the items are put together, by commas.",
    "export": "`csv`, `json`, `xml` or `yaml`: the list as a file.",
}


_FORM: Schema = {
    "type": "object",
    "properties": {"title": {}, "folder": {}, "file": {"type": "string", "format": "binary"}},
}
_FILE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": {"schema": _FORM}, "application/json": {"schema": OBJECT}},
    }
}
_ASSET_QUERY = {
    "download": "Saved, not shown.",
    "key": "A preset of the settings.",
    "width": "Pixels.",
    "height": "Pixels.",
    "fit": "`cover`, `contain`, `inside` or `outside`.",
    "format": "`jpg`, `png`, `webp`, `tiff`, `avif` or `auto`.",
    "quality": "1 to 100.",
    "withoutEnlargement": "`true` = never larger than it is.",
    "background": "A colour, for edges and for what is transparent.",
    "focal_point_x": "What `cover` keeps.",
    "focal_point_y": "What `cover` keeps.",
    "transforms": 'Operations: `[["rotate", 90], ["blur", 3]]`.',
}
_ASSET_ANSWERS: dict[str, Any] = {
    "responses": {
        "200": {"description": "All of it", "content": {"*/*": {}}},
        "206": {"description": "The `Range` that was asked for", "content": {"*/*": {}}},
        "304": {"description": "It has not changed"},
        "403": {"description": "`{errors: [{message, extensions}]}`"},
        "416": {"description": "There is no such range"},
    }
}


def body_of(**properties: Schema) -> dict[str, Any]:
    """`openapi_extra` for a route whose body is an object with these properties."""
    return json_body({"type": "object", "properties": properties, "required": list(properties)[:1]})


def json_body(schema: Schema) -> dict[str, Any]:
    """`openapi_extra` for a route with a JSON body."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def install_reference(app: FastAPI, root_redirect: str) -> None:
    """`/openapi.json`, and `/docs` that shows it: one page that loads nothing from elsewhere; `/` leads there."""
    page = files("datastead.api").joinpath("docs.html").read_text(encoding="utf-8")

    async def openapi(request: Request) -> Response:
        ctx = await context_of(request.scope, parameters_of(request.scope))
        return Json(await openapi_of(app, ctx))

    async def docs(_: Request) -> Response:
        return HTMLResponse(page, headers={"content-security-policy": _POLICY})

    app.add_route("/openapi.json", openapi, include_in_schema=False)
    app.add_route("/server/specs/oas", openapi, include_in_schema=False)
    app.add_route("/docs", docs, include_in_schema=False)
    if root_redirect != "false":

        async def root(_: Request) -> Response:
            return RedirectResponse(root_redirect, 302)

        app.add_route("/", root, include_in_schema=False)


_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"


async def openapi_of(app: FastAPI, ctx: Context) -> dict[str, Any]:
    """The reference, as OpenAPI, with the collections of whoever asks."""
    own = Specification(await ctx.services.schemas.get(), ctx.actor)
    return _with_own(_openapi(app), own, ctx.services.settings.public_url or "/")


def _openapi(app: FastAPI) -> dict[str, Any]:
    """What everybody sees of it. Made on first use: it takes longer than all the rest of the start."""
    if app.openapi_schema is None:
        found = get_openapi(
            title="Datastead",
            version=datastead.__version__,
            description=(datastead.__doc__ or "").partition("\n")[0],
            routes=app.routes,
        )
        found["paths"] = {
            **_items_paths(),
            **_access_paths(),
            **_workspace_paths(),
            **_files_paths(),
            **_trigger_paths(),
            **model_paths(),
            **found["paths"],
        }
        found.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}, {}]
        app.openapi_schema = found
    return app.openapi_schema


def _with_own(described: Mapping[str, Any], own: Specification, url: str) -> dict[str, Any]:
    """The description, with the caller's collections. url: where the server is."""
    components, queries = described["components"], [_in_query(name, text) for name, text in _QUERY.items()]
    return {
        **described,
        "servers": [{"url": url}],
        "tags": own.tags(),
        "paths": {**own.paths(queries), **described["paths"], **own.answers(described["paths"])},
        "components": {**components, "schemas": {**own.schemas(), **components.get("schemas", {})}},
    }


def _items_paths() -> dict[str, Any]:
    collection, key = _in_path("collection"), _in_path("key")
    queries = [_in_query(name, text) for name, text in _QUERY.items()]
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


def _files_paths() -> dict[str, Any]:
    queries = [_in_query(name, text) for name, text in _QUERY.items()]
    files, folders = _of_one("Files", "file"), _of_one("Folders", "folder")
    return {
        "/files": {
            "get": _operation("List files", parameters=queries, tag="Files"),
            "post": _operation("Upload files, or describe one", tag="Files") | _FILE_BODY,
            "patch": _operation("Update many files", body=_object("data", "keys", "query"), tag="Files"),
            "delete": _operation("Delete many files", tag="Files"),
        },
        "/files/import": {"post": _operation("Fetch a file from a URL", body=_object("url", "data"), tag="Files")},
        "/files/tus": {
            "post": _operation(
                "Begin an upload in several requests (tus 1.0); it goes on at the answer's `Location`", tag="Files"
            )
        },
        "/files/{id}": {**files, "patch": files["patch"] | _FILE_BODY},
        "/folders": {
            "get": _operation("List folders", parameters=queries, tag="Folders"),
            "post": _operation("Create folders", body=OBJECT, tag="Folders"),
        },
        "/folders/{id}": folders,
        "/assets/files": {"post": _operation("Several files as one ZIP", body=_object("ids"), tag="Assets")},
        "/assets/folder/{id}": {
            "parameters": [_in_path("id")],
            "get": _operation("A folder, with those below, as a ZIP", tag="Assets"),
            "post": _operation("A folder, with those below, as a ZIP", tag="Assets"),
        },
        "/assets/{id}": {
            "parameters": [_in_path("id")],
            "get": _operation(
                "The bytes of a file, or an image as it is asked for",
                parameters=[_in_query(name, text) for name, text in _ASSET_QUERY.items()],
                tag="Assets",
            )
            | _ASSET_ANSWERS,
        },
    }


def _trigger_paths() -> dict[str, Any]:
    summary = "Start a webhook or manual flow; the answer is what it returns, bare, or 204"
    get, post = _operation(summary, tag="Flows"), _operation(summary, body=OBJECT, tag="Flows")
    return {"/flows/trigger/{flow}": {"parameters": [_in_path("flow")], "get": get, "post": post}}


def _access_paths() -> dict[str, Any]:
    queries = [_in_query(name, text) for name, text in _QUERY.items()]
    found: dict[str, Any] = {}
    for path, word in (
        ("/roles", "role"), ("/policies", "policy"), ("/permissions", "permission"),
        ("/access", "assignment of a policy"),
    ):  # fmt: skip
        found |= _resource_paths(path, word)
    collection = _in_path("collection")
    return found | {
        "/roles/me": {"get": _operation("The caller's role and its ancestors", parameters=queries[:1], tag="Roles")},
        "/policies/me/globals": {"get": _operation("What the caller's policies say together", tag="Policies")},
        "/permissions/me": {"get": _operation("What the caller may do, by collection", tag="Permissions")},
        "/permissions/me/{collection}": {
            "parameters": [collection],
            "get": _operation("What the caller may do in a collection", tag="Permissions"),
        },
        "/permissions/me/{collection}/{id}": {
            "parameters": [collection, _in_path("id")],
            "get": _operation("What the caller may do to an item", tag="Permissions"),
        },
    }


def _resource_paths(path: str, word: str) -> dict[str, Any]:
    """All that can be done to the items of a collection of the platform's own."""
    queries, tag = [_in_query(name, text) for name, text in _QUERY.items()], path[1:].capitalize()
    return {
        path: {
            "get": _operation(f"List {tag.lower()}", parameters=queries, tag=tag),
            "post": _operation(f"Create one {word} or many", body=OBJECT, tag=tag),
            "patch": _operation(f"Update many: {tag.lower()}", body=_object("data", "keys", "query"), tag=tag),
            "delete": _operation(f"Delete many: {tag.lower()}", tag=tag),
        },
        f"{path}/{{id}}": _of_one(tag, word),
    }


def _workspace_paths() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, _, word in RESOURCES:
        found |= _resource_paths(path, word)
    for name, method, summary, body in (
        ("save", "post", "Add changes to a version", OBJECT),
        ("compare", "get", "What a version changes", None),
        ("promote", "post", "Write a version to its item", _object("mainHash", "fields")),
    ):
        operation = _operation(summary, body=body, tag="Versions")
        found[f"/versions/{{id}}/{name}"] = {"parameters": [_in_path("id")], method: operation}
    return found


def _of_one(tag: str, word: str) -> dict[str, Any]:
    return {
        "parameters": [_in_path("id")],
        "get": _operation(f"Read one {word}", tag=tag),
        "patch": _operation(f"Update one {word}", body=OBJECT, tag=tag),
        "delete": _operation(f"Delete one {word}", tag=tag),
    }


def _object(*names: str) -> Schema:
    return {"type": "object", "properties": {name: {} for name in names}}


def _in_query(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": {}}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _operation(summary: str, *, parameters: Any = (), body: Schema | None = None, tag: str = "Items") -> dict[str, Any]:
    answers = {"200": {"description": "`{data: …}`"}, "400": {"description": "`{errors: [{message, extensions}]}`"}}
    more = json_body(body) if body is not None else {}
    return {"tags": [tag], "summary": summary, "parameters": list(parameters), "responses": answers, **more}
