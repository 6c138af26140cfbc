"""The operations of `transforms`, and what each is given: `["blur", 5]`. Names and meanings are sharp's.

Source: sharp.pixelplumbing.com, 2026-11. Those whose cost has no bound that we could give are left out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FITS = ("cover", "contain", "inside", "outside")
FORMATS = ("jpg", "png", "webp", "tiff", "avif")
LARGEST = 100_000  # pixels: no side, and no place in an image, is behind it

Check = Callable[[Any], Any]


class WrongArgument(ValueError):
    """What an operation is given makes no sense. The message says what would."""


@dataclass(frozen=True, slots=True)
class Operation:
    """positional: names and checks of what it is given in order. options: of what the object behind them may hold."""

    positional: Mapping[str, Check]
    options: Mapping[str, Check]
    required: tuple[str, ...] = ()

    def parse(self, arguments: Sequence[Any]) -> dict[str, Any]:
        """Arguments by name, checked. Raises `WrongArgument`."""
        given = list(arguments)
        named = given.pop() if given and isinstance(given[-1], dict) and not self._is_last(given) else {}
        if len(given) > len(self.positional):
            raise WrongArgument(f"takes {len(self.positional)} values at most")
        checks = {**self.positional, **self.options}
        values = {**dict(zip(self.positional, given, strict=False)), **named}
        unknown = [str(name)[:40] for name in values if name not in checks]
        if unknown:
            raise WrongArgument(f"knows no `{unknown[0]}`, but {_listed(checks)}")
        found = {name: _checked(name, checks[name], value) for name, value in values.items() if value is not None}
        missing = [name for name in self.required if name not in found]
        if missing:
            raise WrongArgument(f"needs {_listed(missing)}")
        return found

    def _is_last(self, given: Sequence[Any]) -> bool:
        """Whether the object is the value itself, such as a colour."""
        return len(given) == 1 and next(iter(self.positional.values()), None) is colour


def colour(value: Any) -> list[int]:
    """`red`, `#f00`, `rgba(255, 0, 0, 0.5)` or `{r, g, b, alpha}` as four numbers of 0 to 255."""
    from PIL import ImageColor

    if isinstance(value, dict):
        parts = [_number(0, 255)(value.get(name, 0)) for name in "rgb"]
        return [*map(round, parts), round(_number(0, 1)(value.get("alpha", 1)) * 255)]
    try:
        red, green, blue, *alpha = ImageColor.getrgb(value[:64])
    except (ValueError, TypeError):
        raise WrongArgument("a colour such as `red`, `#ff0000` or `rgb(255,0,0)`") from None
    return [red, green, blue, *(alpha or [255])]


def _number(low: float, high: float) -> Check:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise WrongArgument(f"a number of {low:g} to {high:g}")
        return float(value)

    return check


def _whole(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise WrongArgument(f"a whole number of {low} to {high}")
        return value

    return check


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongArgument("`true` or `false`")
    return value


def _one_of(*allowed: str) -> Check:
    def check(value: Any) -> str:
        if value not in allowed:
            raise WrongArgument(f"one of {_listed(allowed)}")
        return str(value)

    return check


def _format(value: Any) -> str:
    return str(_one_of(*FORMATS)("jpg" if value == "jpeg" else value))


def _checked(name: str, check: Check, value: Any) -> Any:
    try:
        return check(value)
    except WrongArgument as error:
        raise WrongArgument(f"takes as `{name}` {error}") from None


def _listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


_SIDE, _PLACE = _whole(1, LARGEST), _whole(0, LARGEST)
_SWITCH = Operation({"is_on": _flag}, {})
_PLAIN = Operation({}, {})
_QUALITY = {"quality": _whole(1, 100)}
_RESIZE = {"fit": _one_of(*FITS), "background": colour, "withoutEnlargement": _flag}
_BOX = {"left": _PLACE, "top": _PLACE, "width": _SIDE, "height": _SIDE}
_EDGES = {name: _whole(0, 10_000) for name in ("top", "bottom", "left", "right")}

OPERATIONS: Mapping[str, Operation] = {
    "resize": Operation({"width": _SIDE, "height": _SIDE}, _RESIZE),
    "extract": Operation({}, _BOX, tuple(_BOX)),
    "extend": Operation({"all": _whole(0, 10_000)}, {**_EDGES, "background": colour}),
    "trim": Operation({"threshold": _number(0, 255)}, {}),
    "rotate": Operation({"angle": _number(-3600, 3600)}, {"background": colour}),
    "flip": _SWITCH,
    "flop": _SWITCH,
    "blur": Operation({"sigma": _number(0.3, 1000)}, {}),
    "sharpen": Operation({"sigma": _number(0.01, 100)}, {}),
    "grayscale": _SWITCH,
    "greyscale": _SWITCH,
    "negate": _SWITCH,
    "normalize": _PLAIN,
    "normalise": _PLAIN,
    "threshold": Operation({"threshold": _whole(0, 255)}, {}),
    "tint": Operation({"colour": colour}, {}, ("colour",)),
    "modulate": Operation({}, {"brightness": _number(0, 100), "saturation": _number(0, 100)}),
    "flatten": Operation({}, {"background": colour}),
    "removeAlpha": _PLAIN,
    "toFormat": Operation({"format": _format}, _QUALITY, ("format",)),
    **{name: Operation({}, _QUALITY) for name in ("jpeg", "png", "webp", "avif", "tiff")},
}
