"""The driver `local`, how locations are configured, and a disk that fails."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from datastead.builtin.storage.local import LocalOptions, LocalStorage
from datastead.errors import InvalidSettings, ServiceUnavailable, StoredFileNotFound
from datastead.extensions import Registry
from datastead.files.storage import Storage
from datastead.services import open_services
from datastead.settings import Settings, load_settings
from datastead.testing.storage import StorageConformance, pieces_of
from tests.api.conftest import serving

from .conftest import File, FileServer, image, settings_for


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


class TestLocalStorage(StorageConformance):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return Registry.discover().storage("local").open(LocalOptions(root="kept"), tmp_path)


async def test_a_write_that_fails_leaves_no_file_of_any_name(tmp_path: Path) -> None:
    storage = LocalStorage.open(LocalOptions(root="."), tmp_path)

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 1_000_000
        assert names_in(tmp_path) == [".a.partial"]
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await storage.write("a", broken())
    assert names_in(tmp_path) == []


async def test_what_a_dead_process_has_left_goes_with_the_name(tmp_path: Path) -> None:
    storage = LocalStorage.open(LocalOptions(root="."), tmp_path)
    (tmp_path / ".a.partial").write_bytes(b"half")
    await storage.delete("a")
    assert names_in(tmp_path) == []


async def test_a_disk_that_fails_is_said_to_be_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    storage = LocalStorage.open(LocalOptions(root="file"), tmp_path)
    with pytest.raises(ServiceUnavailable):
        await storage.write("a", pieces_of(b"x"))


async def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(StoredFileNotFound):
        await LocalStorage.open(LocalOptions(root="."), tmp_path).size("a")


def test_locations_are_read_from_the_environment(tmp_path: Path) -> None:
    environ = {
        "STORAGE_LOCATIONS": "local,backup",
        "STORAGE_LOCAL_ROOT": "one",
        "STORAGE_BACKUP_DRIVER": "local",
        "STORAGE_BACKUP_ROOT": "two",
    }
    settings = load_settings(environ, cwd=tmp_path)
    assert settings.storage_locations == ["local", "backup"]
    assert settings.storage_options == {"local": {"root": "one"}, "backup": {"driver": "local", "root": "two"}}
    assert settings.folder == tmp_path


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"storage_locations": ["cloud"]}, "STORAGE_CLOUD_DRIVER"), ({"storage_locations": []}, "STORAGE_LOCATIONS"),
        ({"storage_options": {"local": {"root": 5}}}, "STORAGE_LOCAL_ROOT"),
    ],
)  # fmt: skip
async def test_a_location_that_cannot_be_opened_stops_the_start(
    given: dict[str, Any], named: str, tmp_path: Path
) -> None:
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'data.db'}", admin_password="p" * 12, secret="s" * 40, **given
    )
    with pytest.raises(InvalidSettings, match=named):
        async with open_services(settings):
            pass


@pytest.mark.parametrize(("content", "status"), [(image("PNG"), 200), (b"text", 400)])
def test_only_allowed_types_are_taken(tmp_path: Path, content: bytes, status: int) -> None:
    url = f"sqlite:///{tmp_path / 'data.db'}"
    with serving(settings_for(url, tmp_path / "uploads", files_mime_type_allow_list=["image/*"])) as port:
        server = FileServer(port, folder=tmp_path / "uploads")
        assert server.upload(File(content, "a.png", "image/png")).status == status
        assert len(server.on_disk()) == (status == 200)
