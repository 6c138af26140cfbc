"""`shown`: a file as its recipe says, made once and kept beside it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import orjson
import sqlalchemy as sa

from datastead.context import SYSTEM, Context
from datastead.data.project import ProjectSettings
from datastead.data.query import Query
from datastead.errors import ServiceUnavailable
from datastead.files import variants
from datastead.files.files import Files, StoredFile
from datastead.files.leases import Stored
from datastead.files.recipes import Recipe, Rules, illegal
from datastead.files.store import FileStore, store_of
from datastead.files.variants import Variant, Which

PIECE = 262_144  # bytes
RULES = ("storage_asset_transform", "storage_asset_presets")


async def rules_of(ctx: Context) -> Rules:
    """What the settings allow."""
    settings = ctx.services.settings
    row = await ProjectSettings(ctx.acting_as(SYSTEM)).read(Query(fields=RULES))
    return Rules(
        mode=row.get("storage_asset_transform") or "all",
        presets=_presets(row.get("storage_asset_presets")),
        largest=settings.assets_transform_image_max_dimension,
        most_operations=settings.assets_transform_max_operations,
    )


def _presets(given: Any) -> dict[str, Mapping[str, Any]]:
    """By key; without those that other programs have written and that are none."""
    try:
        found = orjson.loads(given) if isinstance(given, str) else given
    except orjson.JSONDecodeError:
        return {}
    entries = found if isinstance(found, list) else []
    return {one["key"]: one for one in entries if isinstance(one, dict) and isinstance(one.get("key"), str)}


def named(file: StoredFile, recipe: Recipe) -> StoredFile:
    """The file as it will be, before it is: its version and type, and not yet its bytes."""
    return replace(file, type=recipe.type, charset=None, recipe=recipe.key)


async def shown(ctx: Context, file: StoredFile, recipe: Recipe) -> StoredFile:
    """The file by its recipe. Whoever asks has been allowed to see the file.

    Raises `IllegalAssetTransformation`, `ServiceUnavailable`.
    """
    if file.largest_side > recipe.largest:
        raise illegal(
            f"The image has a side of {file.largest_side} pixels; {recipe.largest} are allowed here"
            " (`ASSETS_TRANSFORM_IMAGE_MAX_DIMENSION`)",
            ["width", "height"],
        )
    store = store_of(ctx)
    found = await _find(ctx, file, recipe)
    if found is None:
        found = await store.once((file.id, recipe.key), lambda: _make(ctx, file, recipe))
    return replace(named(file, recipe), stored=found.stored, size=found.size)


async def _find(ctx: Context, file: StoredFile, recipe: Recipe) -> Variant | None:
    return await variants.find(ctx.services.database, _which(file, recipe), ctx.now())


def _which(file: StoredFile, recipe: Recipe) -> Which:
    return Which(file.id, recipe.key, file.source)


async def _make(ctx: Context, file: StoredFile, recipe: Recipe) -> Variant:
    """Makes and keeps it. What another process has made meanwhile is taken instead."""
    found = await _find(ctx, file, recipe)  # whoever was before us may have just ended
    if found is not None:
        return found
    store = store_of(ctx)
    with tempfile.TemporaryDirectory(prefix="datastead-") as folder:
        source, target = Path(folder) / "source", Path(folder) / "target"
        await _copy(Files(ctx).read(file), source)
        await store.workshop.make(source, target, recipe.document)
        stored = Stored(file.stored.location, f"{file.id}-{recipe.key[:12]}-{token_hex(6)}.{recipe.format}")
        made = Variant(stored, recipe.type, (await asyncio.to_thread(target.stat)).st_size)
        try:
            await store.write(stored, _pieces(target))
            await _keep(ctx, store, file, recipe, made)
        except BaseException as error:
            await store.discard([stored])
            other = await _find(ctx, file, recipe) if isinstance(error, sa.exc.IntegrityError) else None
            if other is None:
                raise
            return other
    return made


async def _keep(ctx: Context, store: FileStore, file: StoredFile, recipe: Recipe, made: Variant) -> None:
    async with ctx.services.database.transaction() as connection:
        await store.adopt(connection, made.stored)
        if not await variants.add(connection, _which(file, recipe), made, ctx.now()):
            raise ServiceUnavailable("The file was changed meanwhile: try again.", service="assets")


async def _copy(pieces: AsyncIterator[bytes], target: Path) -> None:
    with target.open("wb") as out:
        async for piece in pieces:
            await asyncio.to_thread(out.write, piece)


async def _pieces(source: Path) -> AsyncIterator[bytes]:
    with source.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
