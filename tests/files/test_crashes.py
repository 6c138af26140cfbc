"""What a process that died has left: found by its lease, and removed; and files as attachments of model calls."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from datastead.context import PUBLIC, SYSTEM, Context
from datastead.data import system
from datastead.data.items import Items
from datastead.errors import Forbidden, InvalidRequest, ServiceUnavailable
from datastead.files.files import Files, Upload
from datastead.files.leases import Stored
from datastead.files.source import FilesAsSource
from datastead.services import open_services
from datastead.testing.storage import pieces_of

from .conftest import MISSING, settings_for

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


async def uploads(content: bytes, name: str = "a.txt") -> AsyncIterator[Upload]:
    yield Upload(name, pieces_of(content))


def names_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


async def test_bytes_of_a_process_that_died_are_removed_when_their_lease_is_over(tmp_path: Path) -> None:
    folder, moment = tmp_path / "uploads", NOW
    settings = settings_for(f"sqlite:///{tmp_path / 'data.db'}", folder)
    async with open_services(settings, clock=lambda: moment, dispatch=False) as (services, _):
        files = services.files
        assert files is not None
        await files.write(Stored("local", "orphan.txt"), pieces_of(b"x"))  # and nobody adopts or discards it
        (folder / ".orphan.txt.partial").write_bytes(b"half")
    async with open_services(settings, clock=lambda: moment, dispatch=False):
        assert names_in(folder) == {"orphan.txt", ".orphan.txt.partial"}  # it may be at work elsewhere
    moment = NOW + timedelta(minutes=3)
    async with open_services(settings, clock=lambda: moment, dispatch=False) as (services, _):
        assert names_in(folder) == set()
        leases = sa.select(sa.func.count()).select_from(system.file_leases)
        assert await services.database.read(lambda transaction: transaction.execute(leases).scalar()) == 0


async def test_bytes_that_were_given_up_get_no_row_any_more(tmp_path: Path) -> None:
    moment = NOW
    settings = settings_for(f"sqlite:///{tmp_path / 'data.db'}", tmp_path / "uploads")
    async with open_services(settings, clock=lambda: moment, dispatch=False) as (services, _):
        ctx, files, stored = Context(services, SYSTEM), services.files, Stored("local", "late.txt")
        assert files is not None
        await files.write(stored, pieces_of(b"x"))
        moment = NOW + timedelta(minutes=3)
        await files.sweep()
        with pytest.raises(ServiceUnavailable):
            async with ctx.transaction() as inside:
                assert inside.connection is not None
                await files.adopt(inside.connection, stored)


async def test_a_flow_that_deletes_a_file_deletes_its_bytes_too(tmp_path: Path) -> None:
    """Whoever writes in `directus_files`, the guard sees it: also where nobody is told (`emit=False`)."""
    folder = tmp_path / "uploads"
    settings = settings_for(f"sqlite:///{tmp_path / 'data.db'}", folder)
    async with open_services(settings, dispatch=False) as (services, _):
        ctx = Context(services, SYSTEM)
        (key,) = await Files(ctx).upload(uploads(b"text"))
        assert names_in(folder) == {f"{key}.txt"}
        await Items(ctx, "directus_files").delete(key, emit=False)
        assert services.files is not None
        await services.files.settled()
        assert names_in(folder) == set()


async def test_a_file_is_an_attachment_for_those_who_may_see_it(tmp_path: Path) -> None:
    settings = settings_for(f"sqlite:///{tmp_path / 'data.db'}", tmp_path / "uploads")
    async with open_services(settings, dispatch=False) as (services, _):
        ctx = Context(services, SYSTEM)
        (key,) = await Files(ctx).upload(uploads(b"%PDF-1.7\n", "paper.pdf"))
        found = await FilesAsSource().read(ctx, key, max_bytes=9)
        assert (found.media_type, found.data, found.filename) == ("application/pdf", b"%PDF-1.7\n", "paper.pdf")
        with pytest.raises(InvalidRequest) as refused:
            await FilesAsSource().read(ctx, key, max_bytes=8)
        assert (refused.value.details["size"], refused.value.details["allowed"]) == (9, 8)
        for actor, file in ((PUBLIC, key), (SYSTEM, MISSING), (SYSTEM, "no uuid")):
            with pytest.raises(Forbidden):
                await FilesAsSource().read(ctx.acting_as(actor), file, max_bytes=100)
