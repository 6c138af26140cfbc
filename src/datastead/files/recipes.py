"""How an image is to be shown: the parameters of `/assets`, checked, as a `Recipe`. Nothing is read or drawn here."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from datastead.errors import IllegalAssetTransformation, InvalidQuery
from datastead.files.operations import FITS, FORMATS, OPERATIONS, WrongArgument, colour

PARAMETERS = (
    "key", "transforms", "width", "height", "fit", "quality", "format", "withoutEnlargement", "background",
    "focal_point_x", "focal_point_y",
)  # fmt: skip
SOURCES = {
    "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/tiff": "tiff", "image/avif": "avif",
}  # fmt: skip
"""The types that are transformed. Others (SVG, GIF, icons …) are shown as they are, whatever is asked."""

TYPES = {name: kind for kind, name in SOURCES.items()}
SYSTEM_PRESETS: Mapping[str, Mapping[str, Any]] = {
    f"system-{size}-{fit}": {"width": side, "height": side if fit == "cover" or size == "small" else None, "fit": fit}
    for size, side in (("small", 64), ("medium", 300), ("large", 800))
    for fit in ("cover", "contain")
}
SAVING = ("toFormat", "jpeg", "png", "webp", "avif", "tiff")
"""The operations that say how an image is saved in the end."""

WORK = ("width", "height", "format", "quality", "transforms", "background")
"""Without one of these there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is allowed. mode: `all`, `presets` or `none`. presets: by key. largest: pixels of a side."""

    mode: str = "all"
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    largest: int = 6000
    most_operations: int = 5


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is done to an image: operations in their order, and the format and quality in the end.

    by_accept: whether it depends on what the caller takes.
    """

    operations: tuple[tuple[str, Mapping[str, Any]], ...]
    format: str
    quality: int | None
    background: Sequence[int] | None
    largest: int
    by_accept: bool = False

    @property
    def type(self) -> str:
        """The media type of what comes out."""
        return TYPES[self.format]

    @property
    def document(self) -> dict[str, Any]:
        """All of it that makes a difference."""
        return {
            "operations": [list(operation) for operation in self.operations], "format": self.format,
            "quality": self.quality, "background": self.background, "largest": self.largest,
        }  # fmt: skip

    @property
    def key(self) -> str:
        """The same for the same outcome."""
        return hashlib.sha256(orjson.dumps(self.document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def is_asked(parameters: Mapping[str, Any]) -> bool:
    """Whether anything of the image is to be other than it is."""
    return any(name in parameters for name in PARAMETERS)


def recipe_of(
    parameters: Mapping[str, Any], rules: Rules, kind: str, focus: tuple[int, int] | None, accept: str
) -> Recipe | None:
    """The recipe; None where there is nothing to do. kind: the image's type, of `SOURCES`. focus: of the file.

    Raises `InvalidQuery` for what makes no sense or is not allowed, `IllegalAssetTransformation` for what we do not do.
    """
    given = {name: parameters[name] for name in PARAMETERS if parameters.get(name) not in (None, "")}
    asked = _preset(given, rules) if "key" in given or rules.mode != "all" else given
    if not any(name in asked for name in WORK):
        return None
    steps = _operations(asked.get("transforms"), rules)
    saved = [_saved(*step) for step in steps if step[0] in SAVING]
    in_steps = saved[-1] if saved else (None, None)
    resize = _resize(asked, rules, focus)
    by_accept = asked.get("format") == "auto"
    chosen = (
        _accepted(kind, accept) if by_accept else _one_of("format", asked.get("format"), (*FORMATS, "jpeg", "auto"))
    )
    chosen = chosen or in_steps[0] or SOURCES[kind]
    return Recipe(
        operations=(*(step for step in steps if step[0] not in SAVING), *([("resize", resize)] if resize else [])),
        format="jpg" if chosen == "jpeg" else chosen,
        quality=_quality(asked.get("quality")) or in_steps[1],
        background=_background(asked.get("background")),
        largest=rules.largest,
        by_accept=by_accept,
    )


def _preset(asked: Mapping[str, Any], rules: Rules) -> Mapping[str, Any]:
    key = asked.get("key")
    known = {**(rules.presets if rules.mode != "none" else {}), **SYSTEM_PRESETS}
    if rules.mode != "all" and asked and (key not in known or len(asked) > 1):
        allowed = "presets" if rules.mode == "presets" else "the system's own presets"
        raise _invalid(f"Here images are shown by {allowed} only: `key`, and nothing else")
    if key is None:
        return asked
    if not isinstance(key, str) or key not in known:
        raise _invalid(f"There is no preset `{str(key)[:100]}` in `storage_asset_presets` of the settings")
    return {name: value for name, value in known[key].items() if name in PARAMETERS and value not in (None, "")}


def _resize(asked: Mapping[str, Any], rules: Rules, focus: tuple[int, int] | None) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    for name in ("width", "height"):
        value = _whole(name, asked.get(name), least=1)
        if value is not None and value > rules.largest:
            reason = f"`{name}` may be {rules.largest} at most (`ASSETS_TRANSFORM_IMAGE_MAX_DIMENSION`)"
            raise illegal(reason, [name])
        found |= {} if value is None else {name: value}
    if not found:
        return None
    found["fit"] = _one_of("fit", asked.get("fit"), FITS) or "cover"
    found["withoutEnlargement"] = _flag("withoutEnlargement", asked.get("withoutEnlargement"))
    given = [_whole(name, asked.get(name), least=0) for name in ("focal_point_x", "focal_point_y")]
    point = [own if own is not None else files for own, files in zip(given, focus or (None, None), strict=True)]
    if found["fit"] == "cover" and len(found) == 4 and None not in point:
        found["focus"] = point
    return found


def _operations(given: Any, rules: Rules) -> list[tuple[str, Mapping[str, Any]]]:
    steps = _steps(given)
    if len(steps) > rules.most_operations:
        most = f"{rules.most_operations} operations (`ASSETS_TRANSFORM_MAX_OPERATIONS`)"
        raise _invalid(f"`transforms` may have {most}")
    return [_operation(step, rules) for step in steps]


def _saved(name: str, arguments: Mapping[str, Any]) -> tuple[str, int | None]:
    """The format and quality that a step names."""
    return arguments.get("format", name), arguments.get("quality")


def _steps(given: Any) -> list[Any]:
    if given is None:
        return []
    try:
        steps = orjson.loads(given) if isinstance(given, str) else given
    except orjson.JSONDecodeError:
        steps = None
    if not isinstance(steps, list) or not all(isinstance(step, list) and step for step in steps):
        raise _invalid('`transforms` has to be a list of operations in JSON, such as `[["rotate", 90]]`')
    return steps


def _operation(step: list[Any], rules: Rules) -> tuple[str, Mapping[str, Any]]:
    name, *arguments = step
    known = OPERATIONS.get(name) if isinstance(name, str) else None
    if known is None:
        names = ", ".join(f"`{one}`" for one in OPERATIONS)
        raise illegal(f"There is no operation `{str(name)[:40]}` here, but {names}", [str(name)[:40]])
    try:
        found = known.parse(arguments)
    except WrongArgument as error:
        raise illegal(f"`{name}` {error}", [name]) from None
    if any(found.get(side, 0) > rules.largest for side in ("width", "height", "all", "top", "bottom", "left", "right")):
        raise illegal(f"`{name}` may not reach further than {rules.largest} pixels", [name])
    return name, found


def _accepted(kind: str, accept: str) -> str:
    """The best format that the caller says it takes. AVIF is smaller than WebP, and both are than the others."""
    for name in ("avif", "webp"):
        if f"image/{name}" in accept:
            return name
    return SOURCES[kind] if kind in {"image/jpeg", "image/png"} else "jpg"


def _quality(value: Any) -> int | None:
    found = _whole("quality", value, least=1)
    if found is not None and found > 100:
        raise _invalid("`quality` has to be a whole number of 1 to 100")
    return found


def _background(value: Any) -> list[int] | None:
    try:
        return None if value is None else colour(value)
    except WrongArgument as error:
        raise _invalid(f"`background` has to be {error}") from None


def _whole(name: str, value: Any, *, least: int) -> int | None:
    if value is None:
        return None
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdigit()) or int(text[:20]) < least:
        raise _invalid(f"`{name}` has to be a whole number, {least} or more")
    return int(text[:20])


def _one_of(name: str, value: Any, allowed: Sequence[str]) -> str | None:
    if value is not None and value not in allowed:
        raise _invalid(f"`{name}` has to be one of {', '.join(f'`{one}`' for one in allowed)}")
    return None if value is None else str(value)


def _flag(name: str, value: Any) -> bool:
    if value in (None, False, "false", "0"):
        return False
    if value in (True, "true", "1"):
        return True
    raise _invalid(f"`{name}` has to be `true` or `false`")


def illegal(reason: str, names: Sequence[str]) -> IllegalAssetTransformation:
    """What is well formed, and not done. names: of the parameters or operations that are in the way."""
    return IllegalAssetTransformation(f"{reason}.", reason=reason, invalidTransformations=list(names))


def _invalid(reason: str) -> InvalidQuery:
    return InvalidQuery(f"{reason}.", reason=reason)
