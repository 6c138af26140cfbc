"""`/assets` with parameters: images as they are asked for, made once, kept beside the file, and gone with it."""

import asyncio
import io
import json
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from PIL import Image, ImageCms

from tests.api.conftest import serving

from .conftest import Bytes, File, FileServer, image, settings_for

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """For what is done to pixels one database is enough."""
    folder = tmp_path_factory.mktemp("pictures")
    with serving(settings_for(f"sqlite:///{folder / 'data.db'}", folder / "uploads")) as port:
        yield FileServer(port, folder=folder / "uploads")


def halves(kind: str = "PNG", size: tuple[int, int] = (80, 40), **options: Any) -> bytes:
    """The left half red, the right one blue."""
    found, picture = io.BytesIO(), Image.new("RGB", size, RED)
    picture.paste(BLUE, (size[0] // 2, 0, size[0], size[1]))
    picture.save(found, kind, **options)
    return found.getvalue()


def opened(answer: Bytes) -> Image.Image:
    assert answer.status == 200, answer.body[:300]
    return Image.open(io.BytesIO(answer.body))


def near(one: Any, other: Any) -> bool:
    return all(abs(a - b) < 12 for a, b in zip(one, other, strict=False))


def ask(server: FileServer, row: dict[str, Any], query: str = "", **headers: str) -> Bytes:
    return server.fetch(f"/assets/{row['id']}?{query}", headers)


def transforms(*steps: Any) -> str:
    return "transforms=" + quote(json.dumps(steps))


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ("width=20", (20, 10)), ("height=20", (40, 20)), ("width=20&height=20", (20, 20)),
        ("width=20&height=20&fit=cover", (20, 20)), ("width=20&height=20&fit=contain", (20, 20)),
        ("width=20&height=20&fit=inside", (20, 10)), ("width=20&height=20&fit=outside", (40, 20)),
        ("width=160&withoutEnlargement=true", (80, 40)), ("width=160", (160, 80)),
        ("width=20&height=80&withoutEnlargement=true", (20, 40)), ("key=system-small-cover", (64, 64)),
        ("key=system-medium-contain", (300, 150)), ("width=&height=10", (20, 10)), ("quality=50", (80, 40)),
    ],
)  # fmt: skip
def test_an_image_fits_as_it_is_asked_to(server: FileServer, query: str, size: tuple[int, int]) -> None:
    shown = opened(ask(server, server.stored(halves(), "pic.png"), query))
    assert (shown.format, shown.size) == ("PNG", size)


def test_what_is_cut_off_is_far_from_the_focal_point(server: FileServer) -> None:
    row = server.stored(halves(), "pic.png")
    square = "width=20&height=20"
    middle = opened(ask(server, row, square)).convert("RGB")
    assert (near(middle.getpixel((1, 10)), RED), near(middle.getpixel((18, 10)), BLUE)) == (True, True)
    left = opened(ask(server, row, f"{square}&focal_point_x=5&focal_point_y=5")).convert("RGB")
    assert near(left.getpixel((18, 10)), RED)
    server.send("PATCH", f"/files/{row['id']}", {"focal_point_x": 75, "focal_point_y": 5})
    right = opened(ask(server, row, square)).convert("RGB")
    assert near(right.getpixel((1, 10)), BLUE)


@pytest.mark.parametrize(
    ("query", "kind", "media"),
    [
        ("format=jpg", "JPEG", "image/jpeg"), ("format=png", "PNG", "image/png"), ("format=webp", "WEBP", "image/webp"),
        ("format=tiff", "TIFF", "image/tiff"), ("format=avif", "AVIF", "image/avif"),
    ],
)  # fmt: skip
def test_an_image_comes_in_the_format_that_is_asked_for(server: FileServer, query: str, kind: str, media: str) -> None:
    answer = ask(server, server.stored(halves(), "pic.png"), query)
    assert (opened(answer).format, answer.headers["content-type"]) == (kind, media)
    assert answer.headers["content-disposition"] == 'inline; filename="pic.png"'
    assert answer.headers["content-length"] == str(len(answer.body))


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("image/avif,image/webp,*/*", "AVIF"), ("image/webp", "WEBP"), ("*/*", "PNG"), ("", "PNG")],
)
def test_the_format_may_be_the_best_that_the_browser_takes(server: FileServer, accept: str, kind: str) -> None:
    answer = ask(server, server.stored(halves(), "pic.png"), "format=auto", Accept=accept)
    assert (opened(answer).format, answer.headers["vary"]) == (kind, "Authorization, Accept")


def test_quality_makes_it_smaller(server: FileServer) -> None:
    noise = io.BytesIO()
    Image.effect_noise((200, 200), 80).save(noise, "PNG")
    row = server.stored(noise.getvalue(), "noise.png")
    low, high = (len(ask(server, row, f"format=jpg&quality={quality}").body) for quality in (10, 95))
    assert low * 3 < high


@pytest.mark.parametrize(
    ("steps", "place", "colour"),
    [
        ([["rotate", 90]], (5, 5), RED), ([["rotate", 180]], (5, 5), BLUE), ([["flop"]], (5, 5), BLUE), ([["flop", False]], (5, 5), RED),
        ([["negate"]], (5, 5), (0, 255, 255)), ([["grayscale"]], (5, 5), (76,) * 3), ([["tint", "#00ff00"]], (5, 5), (0, 152, 0)),
        ([["extract", {"left": 50, "top": 0, "width": 20, "height": 20}]], (0, 0), BLUE), ([["threshold", 200]], (5, 5), (0, 0, 0)),
        ([["extend", {"left": 10, "background": "lime"}]], (5, 5), GREEN), ([["modulate", {"saturation": 0}]], (5, 5), (76,) * 3),
        ([["blur", 20]], (39, 20), (127, 0, 128)), ([["flip"], ["sharpen", 2], ["normalize"]], (5, 5), RED),
        ([["resize", {"width": 40, "fit": "inside"}]], (25, 10), BLUE), ([["rotate", 45, {"background": {"r": 0, "g": 255, "b": 0}}]], (0, 0), GREEN),
    ],
)  # fmt: skip
def test_operations_are_carried_out_in_their_order(
    server: FileServer, steps: Any, place: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    shown = opened(ask(server, server.stored(halves(), "pic.png"), transforms(*steps)))
    assert near(shown.convert("RGB").getpixel(place), colour), shown.convert("RGB").getpixel(place)


def test_a_step_may_say_the_format_and_trim_what_is_around(server: FileServer) -> None:
    canvas, found = Image.new("RGB", (50, 50), "white"), io.BytesIO()
    canvas.paste(RED, (10, 20, 30, 40))
    canvas.save(found, "PNG")
    answer = ask(
        server, server.stored(found.getvalue(), "pic.png"), transforms(["trim"], ["toFormat", "webp", {"quality": 40}])
    )
    assert (opened(answer).format, opened(answer).size, answer.headers["content-type"]) == (
        "WEBP",
        (20, 20),
        "image/webp",
    )


def test_what_is_transparent_gets_a_background_where_the_format_has_none(server: FileServer) -> None:
    clear = io.BytesIO()
    Image.new("RGBA", (10, 10), (255, 0, 0, 0)).save(clear, "PNG")
    row = server.stored(clear.getvalue(), "clear.png")
    for query, colour in (
        ("format=jpg", (0, 0, 0)),
        ("format=jpg&background=lime", GREEN),
        ("format=png&background=%2300f", BLUE),
    ):
        assert near(opened(ask(server, row, query)).convert("RGB").getpixel((5, 5)), colour)
    assert opened(ask(server, row, "width=5&format=webp")).mode == "RGBA"


def test_an_image_stands_upright_and_tells_nothing_of_its_camera(server: FileServer) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Secret Camera"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = halves("JPEG", (800, 400), exif=exif.tobytes(), icc_profile=profile, quality=95)
    row = server.stored(content, "photo.jpg")
    assert (row["width"], row["height"]) == (400, 800)
    answer = ask(server, row, "width=40")
    shown = opened(answer)
    assert (shown.size, dict(shown.getexif()), shown.info.get("icc_profile")) == ((40, 80), {}, None)
    assert b"Secret Camera" not in answer.body
    assert near(shown.getpixel((20, 5)), RED)
    assert near(shown.getpixel((20, 75)), BLUE)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_images_of_every_kind_of_pixels_are_shown(server: FileServer, mode: str) -> None:
    found = io.BytesIO()
    (
        Image.new("L", (20, 20), 255).convert("I;16")
        if mode == "I;16"
        else Image.new("RGB", (20, 20), "white").convert(mode)
    ).save(found, "PNG")
    row = server.stored(found.getvalue(), "pic.png")
    for kind in ("jpg", "png", "webp", "avif", "tiff"):
        assert opened(ask(server, row, f"width=10&format={kind}")).size == (10, 10)


def test_a_cmyk_photo_is_shown_in_the_colours_of_screens(server: FileServer) -> None:
    found = io.BytesIO()
    Image.new("CMYK", (40, 40), (0, 255, 255, 0)).save(found, "JPEG")
    shown = opened(ask(server, server.stored(found.getvalue(), "cmyk.jpg"), "width=10&format=png"))
    assert shown.mode == "RGB"


def moving(kind: str) -> bytes:
    found = io.BytesIO()
    first, *rest = [Image.new("RGB", (10, 10), colour) for colour in (RED, BLUE)]
    first.save(found, kind, save_all=True, append_images=rest, duration=100)
    return found.getvalue()


def test_what_moves_is_kept_as_it_is_and_its_first_picture_is_what_is_transformed(server: FileServer) -> None:
    gif, webp = moving("GIF"), moving("WEBP")
    row = server.stored(gif, "a.gif")
    assert [ask(server, row, query).body for query in ("", "width=5&format=jpg")] == [gif, gif]
    row = server.stored(webp, "a.webp")
    assert ask(server, row).body == webp
    shown = opened(ask(server, row, "width=5"))
    assert (shown.size, getattr(shown, "n_frames", 1)) == ((5, 5), 1)
    assert near(shown.convert("RGB").getpixel((2, 2)), RED)


def test_an_svg_is_never_drawn(server: FileServer) -> None:
    content = b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="10" height="10"/></svg>'
    answer = ask(server, server.stored(content, "a.svg"), "width=5&format=png")
    assert (answer.body, answer.headers["content-type"]) == (content, "image/svg+xml")
    assert answer.headers["content-security-policy"].startswith("sandbox")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("width=abc", "INVALID_QUERY"), ("width=-1", "INVALID_QUERY"), ("width=0", "INVALID_QUERY"), ("width[a]=1", "INVALID_QUERY"),
        ("quality=%C2%B2", "INVALID_QUERY"), ("quality=101", "INVALID_QUERY"), ("key=nope", "INVALID_QUERY"), ("key[a]=b", "INVALID_QUERY"),
        ("width=5&fit=fill", "INVALID_QUERY"), ("format=gif", "INVALID_QUERY"), ("format=svg", "INVALID_QUERY"), ("background=nocolour", "INVALID_QUERY"),
        ("width=5&withoutEnlargement=maybe", "INVALID_QUERY"), ("width=5&focal_point_x=x", "INVALID_QUERY"), ("transforms=x", "INVALID_QUERY"),
        ("transforms=[[]]", "INVALID_QUERY"), ('transforms={"a":1}', "INVALID_QUERY"), ("transforms=" + "[" * 2000, "INVALID_QUERY"),
        (transforms(*[["flip"]] * 6), "INVALID_QUERY"), ("width=" + "9" * 5000, "ILLEGAL_ASSET_TRANSFORMATION"),
        ("width=6001", "ILLEGAL_ASSET_TRANSFORMATION"), (transforms(["composite", "x"]), "ILLEGAL_ASSET_TRANSFORMATION"),
        (transforms([5]), "ILLEGAL_ASSET_TRANSFORMATION"), (transforms(["blur", "x"]), "ILLEGAL_ASSET_TRANSFORMATION"),
        (transforms(["blur", 1, 2, 3]), "ILLEGAL_ASSET_TRANSFORMATION"), (transforms(["blur", 1e9]), "ILLEGAL_ASSET_TRANSFORMATION"),
        (transforms(["extract", {"left": 70, "top": 0, "width": 20, "height": 5}]), "ILLEGAL_ASSET_TRANSFORMATION"),
        (transforms(["extract", {"left": 1}]), "ILLEGAL_ASSET_TRANSFORMATION"), (transforms(["resize", {"gravity": "x"}]), "ILLEGAL_ASSET_TRANSFORMATION"),
        (transforms(["tint", {"r": 900}]), "ILLEGAL_ASSET_TRANSFORMATION"), (transforms(["tint"]), "ILLEGAL_ASSET_TRANSFORMATION"),
        (transforms(["extend", 6000], ["extend", 6000]), "ILLEGAL_ASSET_TRANSFORMATION"), (transforms(["resize", 99999]), "ILLEGAL_ASSET_TRANSFORMATION"),
        (transforms(["toFormat", "gif"]), "ILLEGAL_ASSET_TRANSFORMATION"), (transforms(["constructor"]), "ILLEGAL_ASSET_TRANSFORMATION"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_or_is_too_much_is_refused(
    server: FileServer, picture: dict[str, Any], query: str, code: str
) -> None:
    answer = ask(server, picture, query.replace(" ", "%20").replace('"', "%22"))
    assert (answer.status, answer.code) == (400, code)


@pytest.fixture(scope="module")
def picture(server: FileServer) -> dict[str, Any]:
    return server.stored(halves(), "pic.png")


def test_an_operation_that_there_is_not_is_named_with_those_that_there_are(
    server: FileServer, picture: dict[str, Any]
) -> None:
    error = json.loads(ask(server, picture, transforms(["composite"])).body)["errors"][0]
    assert error["extensions"]["invalidTransformations"] == ["composite"]
    assert all(word in error["message"] for word in ("composite", "`blur`", "`resize`"))


def bomb(side: int) -> bytes:
    """A real PNG of side x side white pixels, in a few kilobytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer, row = zlib.compressobj(9), bytes(1 + side // 8)
    body = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_before_it_is_decoded(server: FileServer) -> None:
    content = bomb(20_000)
    assert len(content) < 300_000
    row = server.stored(content, "bomb.png")
    assert (row["width"], row["height"]) == (20_000, 20_000)
    answer = ask(server, row, "width=10")
    assert (answer.status, answer.code) == (400, "ILLEGAL_ASSET_TRANSFORMATION")
    server.send("PATCH", f"/files/{row['id']}", {"width": 10, "height": 10})  # whatever the row says
    assert ask(server, row, "width=10").code == "ILLEGAL_ASSET_TRANSFORMATION"
    assert ask(server, row).body == content


@pytest.mark.parametrize(
    "content", [halves()[:100], halves("JPEG")[:200], halves("WEBP")[:40], b"\x89PNG\r\n\x1a\n" + b"x" * 100]
)
def test_a_broken_image_is_refused(server: FileServer, content: bytes) -> None:
    row = server.stored(content, "broken.png")
    assert row["type"].startswith("image/")
    answer = ask(server, row, "width=10")
    assert (answer.status, answer.code) == (400, "ILLEGAL_ASSET_TRANSFORMATION")
    assert b"/tmp" not in answer.body


def test_a_transformed_image_is_cached_by_browsers_and_read_in_parts(server: FileServer) -> None:
    row = server.stored(halves(), "pic.png")
    before = server.on_disk()
    plain, first = ask(server, row), ask(server, row, "width=40&format=webp")
    tag = first.headers["etag"]
    assert tag != plain.headers["etag"]
    assert (ask(server, row, "width=40&format=webp", **{"If-None-Match": tag}).status, server.on_disk() - before) == (
        304,
        server.on_disk() - before,
    )
    again, part = ask(server, row, "width=40&format=webp"), ask(server, row, "format=webp&width=40", Range="bytes=2-9")
    assert (again.body, again.headers["etag"]) == (first.body, tag)
    assert (part.status, part.body) == (206, first.body[2:10])
    head = server.fetch(f"/assets/{row['id']}?width=40&format=webp", method="HEAD")
    assert head.headers["content-length"] == str(len(first.body))
    assert len(server.on_disk() - before) == 1
    out = ask(server, row, "width=40&format=webp", Range="bytes=999999-")
    assert (out.status, out.headers["content-range"]) == (416, f"bytes */{len(first.body)}")


def test_those_who_ask_at_once_have_it_made_once(file_server: FileServer) -> None:
    server = file_server
    row, before = server.stored(halves(size=(400, 300)), "pic.png"), server.on_disk()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(server, row, "width=100&format=webp"), range(8)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert len(server.on_disk() - before) == 1


@pytest.mark.parametrize("how", ["replace", "delete", "delete many"])
def test_what_was_made_of_a_file_goes_with_its_bytes(file_server: FileServer, how: str) -> None:
    server = file_server
    before = server.on_disk()
    row = server.stored(halves(), "pic.png")
    small = ask(server, row, "width=10").body
    assert len(server.on_disk() - before) == 2
    if how == "replace":
        server.upload(File(image("PNG", 30, 30), "b.png"), path=f"/files/{row['id']}", method="PATCH")
        assert len(server.on_disk() - before) == 1
        assert ask(server, row, "width=10").body != small
        assert opened(ask(server, row, "width=10")).size == (10, 10)
    else:
        path, body = (f"/files/{row['id']}", None) if how == "delete" else ("/files", [row["id"]])
        assert server.send("DELETE", path, body).status == 204
        assert server.on_disk() == before
        assert ask(server, row, "width=10").status == 403


def test_the_permission_on_the_file_is_asked_for_what_was_made_of_it_too(server: FileServer) -> None:
    row = server.stored(halves(), "pic.png")
    assert ask(server, row, "width=10").status == 200
    public = FileServer(server.port, None, server.folder)
    for query in ("width=10", "width=11", ""):
        assert ask(public, row, query).code == "FORBIDDEN"


def test_who_may_read_some_files_sees_those_and_no_others(file_server: FileServer) -> None:
    server = file_server
    token, shown = uuid4().hex, server.stored(halves(), "a.png", title="shown")
    hidden = server.stored(halves(), "b.png", title="hidden")
    policy = server.post("/policies", {"name": "x"}).data["id"]
    server.post(
        "/permissions",
        {
            "policy": policy,
            "collection": "directus_files",
            "action": "read",
            "fields": ["id"],
            "permissions": {"title": {"_eq": "shown"}},
        },
    )
    user = server.post("/users", {"email": f"{token}@example.com", "token": token}).data["id"]
    server.post("/access", {"policy": policy, "user": user})
    someone = FileServer(server.port, token, server.folder)
    assert ask(server, hidden, "width=10").status == 200
    assert [ask(someone, row, "width=10").status for row in (shown, hidden)] == [200, 403]


def test_the_projects_logo_is_seen_by_everybody(file_server: FileServer) -> None:
    server = file_server
    row, other = server.stored(halves(), "logo.png"), server.stored(halves(), "other.png")
    public = FileServer(server.port, None, server.folder)
    assert server.send("PATCH", "/settings", {"project_logo": row["id"]}).status == 200
    answer = ask(public, row, "key=system-large-contain")
    assert (answer.status, answer.headers["cache-control"]) == (200, "public, max-age=2592000")
    assert ask(public, other).status == 403
    server.send("PATCH", "/settings", {"project_logo": None})
    assert ask(public, row).status == 403


@pytest.fixture
def rules(server: FileServer) -> Iterator[Any]:
    """Sets what the settings allow."""

    def change(mode: str, presets: Any = None) -> None:
        body = {"storage_asset_transform": mode, "storage_asset_presets": presets}
        assert server.send("PATCH", "/settings", body).status == 200

    yield change
    change("all")


def test_presets_are_the_settings_own(server: FileServer, rules: Any, picture: dict[str, Any]) -> None:
    card = {
        "key": "card",
        "width": 30,
        "height": 30,
        "fit": "cover",
        "format": "webp",
        "quality": 70,
        "withoutEnlargement": False,
        "transforms": [["grayscale"]],
    }
    rules("all", [card, {"key": "broken", "width": "x"}])
    shown = opened(ask(server, picture, "key=card&width=5"))
    assert (shown.format, shown.size, near(shown.convert("RGB").getpixel((2, 2)), (76,) * 3)) == (
        "WEBP",
        (30, 30),
        True,
    )
    assert ask(server, picture, "key=broken").code == "INVALID_QUERY"
    rules("presets", [card])
    for query, status in (
        ("key=card", 200),
        ("key=system-small-cover", 200),
        ("width=5", 400),
        ("key=card&width=5", 400),
        ("", 200),
        ("download", 200),
    ):
        assert ask(server, picture, query).status == status, query
    rules("none", [card])
    for query, status in (("key=card", 400), ("key=system-small-cover", 200), ("width=5", 400), ("", 200)):
        assert ask(server, picture, query).status == status, query


def test_limits_are_settings_and_images_that_take_too_long_are_given_up(tmp_path: Path) -> None:
    settings = settings_for(
        f"sqlite:///{tmp_path / 'data.db'}", tmp_path / "uploads", assets_transform_timeout=0.001,
        assets_transform_image_max_dimension=50, assets_transform_max_operations=1,
    )  # fmt: skip
    with serving(settings) as port:
        server = FileServer(port, folder=tmp_path / "uploads")
        large, small = server.stored(halves(), "a.png"), server.stored(image("PNG", 20, 20), "b.png")
        assert ask(server, large, "width=10").code == "ILLEGAL_ASSET_TRANSFORMATION"
        assert ask(server, small, "width=51").code == "ILLEGAL_ASSET_TRANSFORMATION"
        assert ask(server, small, transforms(["flip"], ["flop"])).code == "INVALID_QUERY"
        answer = ask(server, small, "width=10")
        assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")
        assert len(server.on_disk()) == 2


async def test_there_is_room_for_so_many_bytes_and_none_for_what_has_no_file(tmp_path: Path) -> None:
    import sqlalchemy as sa

    from datastead.context import SYSTEM, Context
    from datastead.data import system
    from datastead.files.files import Files, Upload
    from datastead.files.recipes import Rules, recipe_of
    from datastead.files.shown import shown
    from datastead.services import open_services
    from datastead.testing.storage import pieces_of

    folder = tmp_path / "uploads"
    settings = settings_for(f"sqlite:///{tmp_path / 'data.db'}", folder, assets_transform_storage_size=500)
    async with open_services(settings, dispatch=False) as (services, _):
        ctx, store = Context(services, SYSTEM), services.files
        assert store is not None

        async def uploads() -> Any:
            yield Upload("a.png", pieces_of(halves()))

        (key,) = await Files(ctx).upload(uploads())
        file = await Files(ctx).open(key)
        for width in range(10, 20):
            recipe = recipe_of({"width": str(width)}, Rules(), "image/png", None, "")
            assert recipe is not None
            await shown(ctx, file, recipe)
        before = len(list(folder.iterdir()))
        await store.tidy()
        await store.settled()
        left = list(folder.iterdir())
        assert before == 11
        assert 1 < len(left) < 11
        assert sum(path.stat().st_size for path in left if path.name != f"{key}.png") <= 500
        gone = sa.delete(system.files)
        await services.database.write(lambda transaction: transaction.execute(gone) and None)
        await store.tidy()
        await store.settled()
        assert [path.name for path in folder.iterdir()] == [f"{key}.png"]
    await asyncio.sleep(0)
