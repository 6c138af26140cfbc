"""The driver `s3`, on a real S3 server: what every driver has to do, large files, failures, and files over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from datastead.builtin.storage.s3 import PART, S3Options
from datastead.errors import ServiceUnavailable, StoredFileNotFound
from datastead.extensions import Registry
from datastead.files.storage import Storage
from datastead.settings import Settings, load_settings
from datastead.testing.storage import StorageConformance, pieces_of, read
from tests.api.conftest import ADMIN_TOKEN, PASSWORD, serving

from .conftest import File, FileServer, image
from .s3 import SECRET, Bucket, new_bucket, s3_server

LARGE = bytes(range(256)) * (2 * PART // 256) + b"the end"


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def bucket(s3_url: str) -> Bucket:
    return new_bucket(s3_url)


def opened(bucket: Bucket, **more: object) -> Storage:
    options = {name: value for name, value in bucket.options.items() if name != "driver"}
    return Registry.discover().storage("s3").open(S3Options.model_validate({**options, **more}), Path())


class TestS3Storage(StorageConformance):
    @pytest.fixture
    def storage(self, bucket: Bucket) -> Storage:
        return opened(bucket)


async def test_a_large_file_goes_up_in_parts_and_comes_back(bucket: Bucket) -> None:
    storage = opened(bucket)
    await storage.write("large", pieces_of(LARGE))
    assert await storage.size("large") == len(LARGE)
    assert await read(storage, "large") == LARGE
    assert await read(storage, "large", PART - 5, 10) == LARGE[PART - 5 : PART + 5]
    assert bucket.unfinished() == 0


async def test_a_file_of_exactly_one_part_is_stored(bucket: Bucket) -> None:
    storage = opened(bucket)
    await storage.write("one", pieces_of(LARGE[:PART]))
    assert await read(storage, "one") == LARGE[:PART]


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_large_upload_that_fails_leaves_no_parts_behind(bucket: Bucket, cancelled: bool) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        for number in range(1000):
            yield bytes(PART)
            if number == 3:
                begun.set()
                if not cancelled:
                    raise ConnectionError
            await asyncio.sleep(0)

    writing = asyncio.create_task(opened(bucket).write("a", endless()))
    await begun.wait()
    if cancelled:
        writing.cancel()
    with pytest.raises(asyncio.CancelledError if cancelled else ConnectionError):
        await writing
    assert (bucket.names(), bucket.unfinished()) == (set(), 0)


async def test_a_bucket_that_is_not_there_is_unavailable_and_its_files_are_not_found(s3_url: str) -> None:
    storage = opened(Bucket(s3_url, "nowhere"))
    for content in (b"x", LARGE):
        with pytest.raises(ServiceUnavailable):
            await storage.write("a", pieces_of(content))
    with pytest.raises(StoredFileNotFound):
        await read(storage, "a")


async def test_a_service_that_does_not_answer_is_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    storage = opened(Bucket("http://127.0.0.1:1", "bucket"))
    for asking in (read(storage, "a"), storage.write("a", pieces_of(b"x"))):
        with pytest.raises(ServiceUnavailable) as failed:
            await asking
        assert "127.0.0.1" not in failed.value.message
    assert "127.0.0.1" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ({}, None), ({"endpoint": "s3.example.com"}, "https://b.s3.example.com"),
        ({"endpoint": "http://h:9000/", "force_path_style": True}, "http://h:9000"),
    ],
)  # fmt: skip
def test_where_the_bucket_is_asked_is_as_the_options_say(given: dict[str, object], endpoint: str | None) -> None:
    from datastead.builtin.storage.s3 import _open

    config = _open(S3Options.model_validate({"bucket": "b", **given})).config or {}
    assert config.get("endpoint") == endpoint
    assert str(config["virtual_hosted_style_request"]).lower() == ("false" if "force_path_style" in given else "true")


def test_directus_variables_open_it(bucket: Bucket, tmp_path: Path) -> None:
    variables = {f"STORAGE_CLOUD_{name.upper()}": str(value) for name, value in bucket.options.items()}
    environ = {"STORAGE_LOCATIONS": "cloud", **variables, "DATABASE_URL": f"sqlite:///{tmp_path / 'data.db'}"}
    environ |= {"ADMIN_TOKEN": ADMIN_TOKEN, "ADMIN_PASSWORD": PASSWORD, "SECRET": "s" * 40}
    with serving(load_settings(environ, cwd=tmp_path)) as port:
        row = FileServer(port).stored(b"text")
    assert row["storage"] == "cloud"
    assert bucket.names() == {row["filename_disk"]}


@pytest.fixture
def server(bucket: Bucket, tmp_path: Path) -> Iterator[FileServer]:
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'data.db'}", admin_token=ADMIN_TOKEN, admin_password=PASSWORD, secret="s" * 40,
        storage_locations=["cloud"], storage_options={"cloud": bucket.options}, files_max_upload_size=len(LARGE),
    )  # fmt: skip
    with serving(settings) as port:
        yield FileServer(port)


def test_files_go_up_come_back_in_parts_are_replaced_and_deleted(server: FileServer, bucket: Bucket) -> None:
    row = server.stored(LARGE, "large.bin")
    assert bucket.names() == {row["filename_disk"]}
    assert server.fetch(f"/assets/{row['id']}").body == LARGE
    part = server.fetch(f"/assets/{row['id']}", {"Range": f"bytes={PART - 5}-{PART + 4}"})
    assert (part.status, part.body) == (206, LARGE[PART - 5 : PART + 5])
    assert server.fetch(f"/assets/{row['id']}", method="HEAD").headers["content-length"] == str(len(LARGE))
    new = server.upload(File(image("PNG"), "b.png"), path=f"/files/{row['id']}", method="PATCH").data
    assert bucket.names() == {new["filename_disk"]}
    assert server.fetch(f"/assets/{row['id']}").body == image("PNG")
    assert server.send("DELETE", f"/files/{row['id']}").status == 204
    assert bucket.names() == set()


def test_images_are_made_of_what_is_in_the_bucket_and_kept_there(server: FileServer, bucket: Bucket) -> None:
    row = server.stored(image("PNG"), "pic.png")
    first, again = (server.fetch(f"/assets/{row['id']}?width=20&format=webp") for _ in range(2))
    assert (first.status, first.headers["content-type"], again.body) == (200, "image/webp", first.body)
    assert len(bucket.names()) == 2
    part = server.fetch(f"/assets/{row['id']}?width=20&format=webp", {"Range": "bytes=0-3"})
    assert (part.status, part.body) == (206, first.body[:4])
    assert server.send("DELETE", f"/files/{row['id']}").status == 204
    assert bucket.names() == set()


def test_an_upload_that_is_too_large_leaves_nothing_in_the_bucket(server: FileServer, bucket: Bucket) -> None:
    assert server.upload(File(LARGE + b"x", "large.bin")).code == "CONTENT_TOO_LARGE"
    assert (bucket.names(), bucket.unfinished()) == (set(), 0)


def test_a_bucket_that_has_gone_answers_service_unavailable(server: FileServer, bucket: Bucket) -> None:
    import urllib.request

    urllib.request.urlopen(urllib.request.Request(f"{bucket.url}/{bucket.name}", method="DELETE"), timeout=20)
    answer = server.upload(File(b"text", "a.txt"))
    assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")
