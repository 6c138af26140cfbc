"""What is done to the pixels of an image. Runs as a process of its own, `python -m datastead.files.picture`.

A process, since a decoder of images from anywhere may need much memory, take long, or crash: then it is this process
that ends. It reads one JSON object a line: `{source, target, recipe}`, paths of files; it answers with one:
`{}`, or `{reason, parts}` for an image that cannot be shown so. It ends when there are no more lines.
"""

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BytesIO
from typing import Any

from PIL import Image, ImageChops, ImageCms, ImageEnhance, ImageFilter, ImageOps

MOST_MEMORY = 3 << 30  # bytes of address space
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
BLACK = (0, 0, 0, 255)
LANCZOS = Image.Resampling.LANCZOS
ORIENTATION = 0x0112
TURNED = 5  # from this orientation on, width and height change places
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""How an image is turned so that it stands as it was seen. Source: Exif 2.32, 4.6.4."""

Arguments = Mapping[str, Any]


class Impossible(Exception):
    """The image cannot be shown so. The message says why; parts: what of the recipe is in the way."""

    def __init__(self, reason: str, *parts: str) -> None:
        super().__init__(reason)
        self.parts = parts


def make(source: str, target: str, recipe: Arguments) -> None:
    """Reads the file `source`, and writes the file `target`. Raises `Impossible`."""
    try:
        with Image.open(source, formats=FORMATS) as opened:
            _check_size(opened.size, recipe["largest"], "width", "height")
            _save(_made(opened, recipe), target, recipe)
    except (Impossible, KeyboardInterrupt):
        raise
    except MemoryError:
        raise Impossible("The image needs too much memory") from None
    except Exception as error:  # noqa: BLE001  whatever a broken file makes of a decoder, it is a file that cannot be read
        raise Impossible(f"The image cannot be read: {error}"[:300].replace(source, "the file")) from None


def _made(opened: Image.Image, recipe: Arguments) -> Image.Image:
    """All operations. Of an image that moves, the first picture is what is shown."""
    operations, whole = recipe["operations"], opened.size
    orientation = opened.getexif().get(ORIENTATION, 1)
    if len(operations) == 1 and operations[0][0] == "resize" and opened.format == "JPEG":
        _draft(opened, operations[0][1], is_turned=orientation >= TURNED)
    scale = opened.size[0] / whole[0]
    image = _plain(opened)
    if orientation in UPRIGHT:
        image = image.transpose(UPRIGHT[orientation])
    for name, arguments in operations:
        places = {"focus": [place * scale for place in arguments["focus"]]} if "focus" in arguments else {}
        image = OPERATIONS[name](image, {**arguments, **places, "largest": recipe["largest"]})
        _check_size(image.size, recipe["largest"], name)
    return image


def _draft(opened: Image.Image, wanted: Arguments, *, is_turned: bool) -> None:
    """A large JPEG of which a small picture is made is decoded at a half to an eighth, still twice as large."""
    size = opened.size[::-1] if is_turned else opened.size
    width, height = _scaled(size, wanted)
    target = (height, width) if is_turned else (width, height)
    opened.draft(None, (target[0] * 2, target[1] * 2))


def _plain(opened: Image.Image) -> Image.Image:
    """8 bits of grey or RGB, with or without transparency, in the colours that screens have."""
    image, profile = opened, opened.info.get("icc_profile")
    if image.mode.startswith(("I", "F")):
        image = _of_8_bits(image)
    if profile and image.mode in {"RGB", "CMYK", "RGBA"}:
        image = _in_srgb(image, profile)
    has_alpha = "transparency" in opened.info or image.mode in {"PA", "La", "RGBa"}
    if image.mode not in {"L", "LA", "RGB", "RGBA"} or (has_alpha and image.mode in {"L", "RGB"}):
        image = image.convert("RGBA" if has_alpha else "RGB")
    image.load()
    return image


def _of_8_bits(image: Image.Image) -> Image.Image:
    _, high = image.getextrema()
    scale = 255 / (65535 if image.mode.startswith("I;16") else max(255.0, float(str(high))))
    return image.convert("F").point(lambda value: value * scale).convert("L")


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    with suppress(ImageCms.PyCMSError, OSError, ValueError):  # a broken profile says nothing of the colours
        own, mode = ImageCms.ImageCmsProfile(BytesIO(profile)), "RGBA" if image.mode == "RGBA" else "RGB"
        found = ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode=mode)
        return found or image
    return image


def _scaled(size: tuple[int, int], wanted: Arguments) -> tuple[int, int]:
    """How large the whole image becomes, before what is too much of it is cut off."""
    width, height = size
    scales = [wanted[name] / side for name, side in (("width", width), ("height", height)) if wanted.get(name)]
    if not scales:
        return size
    scale = max(scales) if wanted.get("fit", "cover") in {"cover", "outside"} else min(scales)
    scale = min(scale, 1) if wanted.get("withoutEnlargement") else scale
    return max(1, round(width * scale)), max(1, round(height * scale))


def _resize(image: Image.Image, wanted: Arguments) -> Image.Image:
    scaled, fit = _scaled(image.size, wanted), wanted.get("fit", "cover")
    width, height = wanted.get("width") or scaled[0], wanted.get("height") or scaled[1]
    if fit == "cover":
        return _cover(image, scaled, (min(width, scaled[0]), min(height, scaled[1])), wanted.get("focus"))
    if fit == "outside" or "width" not in wanted or "height" not in wanted:
        _check_size(scaled, wanted["largest"], "resize")
    shown = _sized(image, scaled)
    if fit != "contain":
        return shown
    canvas = Image.new("RGBA", (width, height), tuple(wanted.get("background") or BLACK))
    canvas.paste(shown, ((width - scaled[0]) // 2, (height - scaled[1]) // 2))
    return canvas


def _cover(
    image: Image.Image, scaled: tuple[int, int], size: tuple[int, int], focus: list[float] | None
) -> Image.Image:
    """The part around the focus, or the middle, that has the shape of `size`."""
    box: list[float] = [0, 0, 0, 0]
    for axis in (0, 1):
        part = min(image.size[axis], size[axis] * image.size[axis] / scaled[axis])
        middle = focus[axis] if focus else image.size[axis] / 2
        box[axis] = min(max(middle - part / 2, 0), image.size[axis] - part)
        box[axis + 2] = box[axis] + part
    return _sized(image, size, (box[0], box[1], box[2], box[3]))


def _sized(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    return image.resize(size, LANCZOS, box=box, reducing_gap=3.0)


def _extract(image: Image.Image, wanted: Arguments) -> Image.Image:
    left, top = wanted["left"], wanted["top"]
    right, bottom = left + wanted["width"], top + wanted["height"]
    if right > image.width or bottom > image.height:
        raise Impossible(f"`extract` reaches out of the image of {image.width} x {image.height}", "extract")
    return image.crop((left, top, right, bottom))


def _extend(image: Image.Image, wanted: Arguments) -> Image.Image:
    every = wanted.get("all", 0)
    top, bottom, left, right = (wanted.get(name, every) for name in ("top", "bottom", "left", "right"))
    size = (image.width + left + right, image.height + top + bottom)
    _check_size(size, wanted["largest"], "extend")
    canvas = Image.new("RGBA", size, tuple(wanted.get("background") or BLACK))
    canvas.paste(image, (left, top))
    return canvas


def _trim(image: Image.Image, wanted: Arguments) -> Image.Image:
    """Without the edges that look like the pixel at the top left."""
    flat = image.convert("RGB")
    edge = Image.new("RGB", flat.size, flat.getpixel((0, 0)))
    threshold = wanted.get("threshold", 10)
    differs = ImageChops.difference(flat, edge).convert("L").point(lambda value: 255 if value > threshold else 0)
    box = differs.getbbox()
    return image.crop(box) if box else image


def _rotate(image: Image.Image, wanted: Arguments) -> Image.Image:
    angle = wanted.get("angle", 0) % 360
    if angle % 90 == 0:
        return image.rotate(-angle, expand=True)
    fill = tuple(wanted.get("background") or BLACK)
    return image.convert("RGBA").rotate(-angle, Image.Resampling.BICUBIC, expand=True, fillcolor=fill)


def _blur(image: Image.Image, wanted: Arguments) -> Image.Image:
    sigma = wanted.get("sigma")
    return image.filter(ImageFilter.BoxBlur(1) if sigma is None else ImageFilter.GaussianBlur(sigma))


def _sharpen(image: Image.Image, wanted: Arguments) -> Image.Image:
    return image.filter(ImageFilter.UnsharpMask(wanted.get("sigma", 1), 100, 2))


def _of_colours(work: Callable[[Image.Image, Arguments], Image.Image]) -> Callable[..., Image.Image]:
    """What is done to colours, and leaves transparency as it is."""

    def worked(image: Image.Image, wanted: Arguments) -> Image.Image:
        if wanted.get("is_on") is False:
            return image
        alpha = image.getchannel("A") if image.mode in {"LA", "RGBA"} else None
        found = work(image.convert("L" if image.mode in {"L", "LA"} else "RGB"), wanted)
        if alpha is not None:
            found.putalpha(alpha)
        return found

    return worked


def _switched(work: Callable[[Image.Image], Image.Image]) -> Callable[[Image.Image, Arguments], Image.Image]:
    return lambda image, wanted: image if wanted.get("is_on") is False else work(image)


def _threshold(image: Image.Image, wanted: Arguments) -> Image.Image:
    limit = wanted.get("threshold", 128)
    return image.convert("L").point(lambda value: 255 if value >= limit else 0)


def _tint(image: Image.Image, wanted: Arguments) -> Image.Image:
    """Light and dark stay; the colours become shades of one."""
    middle = tuple(wanted["colour"][:3])
    return ImageOps.colorize(image.convert("L"), "black", "white", mid=middle)


def _modulate(image: Image.Image, wanted: Arguments) -> Image.Image:
    bright = ImageEnhance.Brightness(image).enhance(wanted.get("brightness", 1))
    return ImageEnhance.Color(bright).enhance(wanted.get("saturation", 1))


def _flatten(image: Image.Image, wanted: Arguments) -> Image.Image:
    if image.mode not in {"LA", "RGBA"}:
        return image
    canvas = Image.new("RGBA", image.size, (*tuple(wanted.get("background") or BLACK)[:3], 255))
    return Image.alpha_composite(canvas, image.convert("RGBA")).convert("RGB")


OPERATIONS: Mapping[str, Callable[[Image.Image, Arguments], Image.Image]] = {
    "resize": _resize,
    "extract": _extract,
    "extend": _extend,
    "trim": _trim,
    "rotate": _rotate,
    "flip": _switched(ImageOps.flip),
    "flop": _switched(ImageOps.mirror),
    "blur": _blur,
    "sharpen": _sharpen,
    "grayscale": _of_colours(lambda image, _: image.convert("L")),
    "greyscale": _of_colours(lambda image, _: image.convert("L")),
    "negate": _of_colours(lambda image, _: ImageOps.invert(image)),
    "normalize": _of_colours(lambda image, _: ImageOps.autocontrast(image, cutoff=1)),
    "normalise": _of_colours(lambda image, _: ImageOps.autocontrast(image, cutoff=1)),
    "threshold": _of_colours(_threshold),
    "tint": _of_colours(_tint),
    "modulate": _of_colours(_modulate),
    "flatten": _flatten,
    "removeAlpha": lambda image, _: image.convert("RGB"),
}


def _save(image: Image.Image, target: str, recipe: Arguments) -> None:
    """Without what the original says of itself: places and cameras are nobody's business."""
    quality, background = recipe["quality"], recipe["background"]
    if recipe["format"] == "jpg" or background:
        image = _flatten(image, {"background": background})
    elif image.mode in {"LA", "RGBA"} and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert(image.mode[:-1])
    saved: dict[str, tuple[str, dict[str, Any]]] = {
        "jpg": ("JPEG", {"quality": quality or 80}),
        "png": ("PNG", {"compress_level": 6}),
        "webp": ("WEBP", {"quality": quality or 80, "method": 4}),
        "avif": ("AVIF", {"quality": quality or 50, "speed": 8, "max_threads": 1}),
        "tiff": ("TIFF", {"compression": "tiff_lzw"}),
    }
    kind, options = saved[recipe["format"]]
    image.info = {}
    image.save(target, kind, **options)


def _check_size(size: tuple[int, int], largest: int, *parts: str) -> None:
    if max(size) > largest:
        reason = f"The image has {size[0]} x {size[1]} pixels; a side may have {largest} here"
        raise Impossible(f"{reason} (`ASSETS_TRANSFORM_IMAGE_MAX_DIMENSION`)", *parts)


def _bound_memory() -> None:
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))


def main() -> None:
    """Works until there is nothing more to do."""
    _bound_memory()
    Image.MAX_IMAGE_PIXELS = None  # the size is checked here, side by side
    for line in sys.stdin:
        answer: dict[str, Any] = {}
        try:
            make(**json.loads(line))
        except Impossible as error:
            answer = {"reason": str(error), "parts": error.parts}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
