"""The demo's HTTP client: the few requests that it makes of its own server, as any program would."""

from types import TracebackType
from typing import Any, Self

import aiohttp

from datastead.errors import ServiceUnavailable


class DemoClient:
    """Talks to a Datastead server with a static token."""

    def __init__(self, url: str, token: str) -> None:
        self._session = aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {token}"})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def create_articles_collection(self, more_fields: dict[str, str]) -> None:
        """`articles`: id, title, content, meta_description, and what else the import has."""
        key = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}
        own = {"title": "string", "content": "text", "meta_description": "text"}
        others = [{"field": name, "type": type_, "meta": {}} for name, type_ in {**own, **more_fields}.items()]
        await self._send(
            "POST", "/collections", {"collection": "articles", "schema": {}, "meta": {}, "fields": [key, *others]}
        )

    async def apply_flow(self, document: dict[str, Any]) -> str:
        """The id of the flow that was made of the document."""
        applied: dict[str, Any] = await self._send("POST", "/flows/apply", document)
        return str(applied["id"])

    async def create_items(self, rows: list[dict[str, Any]]) -> list[Any]:
        """The new articles' keys."""
        items = await self._send("POST", "/items/articles?fields=id", rows)
        return [item["id"] for item in items]

    async def items(self, keys: list[Any]) -> list[dict[str, Any]]:
        """The articles as they are now, in the order of their keys."""
        found: list[dict[str, Any]] = await self._send(
            "SEARCH", "/items/articles", {"query": {"filter": {"id": {"_in": keys}}, "limit": -1, "sort": ["id"]}}
        )
        return found

    async def runs(self, flow: str, limit: int) -> list[dict[str, Any]]:
        """The flow's runs, newest first, each with its steps."""
        found: list[dict[str, Any]] = await self._send("GET", f"/flows/runs?flow={flow}&limit={limit}&steps=true")
        return found

    async def _send(self, method: str, path: str, json: Any = None) -> Any:
        async with self._session.request(method, path, json=json) as response:
            body = await response.json()
        if "errors" in body:
            raise ServiceUnavailable(f"{method} {path}: {body['errors'][0]['message']}")
        return body["data"]
