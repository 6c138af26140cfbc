"""Whether a call fits into its model's context: counted before it is sent, and cut or refused where it does not.

All that a model reads counts: the system prompt, turns, tool calls and their results, tools, the schema, attachments.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import orjson

from datastead.ai.media import PDF, is_text
from datastead.ai.models import ModelDefinition
from datastead.ai.vocabularies import LONGEST_TOKEN, Tokens, Vocabulary, size_of, vocabulary_of
from datastead.errors import ContextLengthExceeded
from datastead.messages import Attachment, Call, Message, Part, Reasoning, Text, ToolCall, ToolResult

TURN_TOKENS = 4  # what stands around a turn
TOOL_TOKENS = 16  # around a tool
TOOLS_TOKENS = 1024  # the hidden instructions that come with tools; Anthropic's are 264 to 804
MARK = " […]"
"""Stands where a text was cut."""

_IMAGE = Tokens(65, 5_200)
"""An image, of any size: 258 a tile at Google, up to 4,784 at Anthropic, 3,779 at OpenAI (2026-11)."""

_COSTLY_IMAGE = Tokens(2_833, 48_200)
"""`gpt-4o-mini` counts an image as 2,833 tokens and 5,667 more for each of up to 8 tiles."""

_PDF_PAGE = Tokens(200, 4_600)
"""Its text and its image: 1,500 to 3,000 and up to 1,600 at Anthropic, 258 at Google (2026-11)."""

_LEAST_PAGE_BYTES = 1_500
_BYTES_A_TOKEN_OF_SOUND = 25  # 8 kbit/s, and 32 tokens a second; film has more of both
_NOTHING = Tokens(0, 0)


class TokenCount(NamedTuple):
    """How many tokens a call has before it is sent.

    tokens: the most that it can have. at_least: what it has for certain. is_exact: both are the same, but for what
    stands around each turn. context: what the model takes, the answer included.
    """

    tokens: int
    at_least: int
    is_exact: bool
    context: int


@dataclass(frozen=True, slots=True)
class Cut:
    """What was cut out of a call.

    message: its position among the turns as they were given, the prompt being the last. part: the position in that
    turn; None = the whole turn. tokens, characters: how many were cut.
    """

    message: int
    part: int | None
    role: str
    tokens: int
    characters: int


def cuts_json(cuts: Sequence[Cut]) -> list[dict[str, Any]]:
    """The cuts as JSON."""
    return [asdict(cut) for cut in cuts]


def check_context(call: Call, model: ModelDefinition) -> None:
    """Raises `ContextLengthExceeded` where the call certainly does not fit. Looks closely only where it might not."""
    allowed = model.limit.context
    if _most_cheaply(call) <= allowed:
        return
    texts = [text for text in _texts_of(call) if text]
    at_least = sum(map(_fewest_tokens, texts))
    if at_least <= allowed:
        at_least = max(at_least, count(call, model).at_least)
    if at_least > allowed:
        raise exceeded(at_least, allowed, model, "at least ")


def count(call: Call, model: ModelDefinition) -> TokenCount:
    """The tokens of a call."""
    counting = _Counting(call, model)
    found = counting.total
    is_exact = counting.vocabulary.is_known and found.most - found.least <= TURN_TOKENS * len(call.messages)
    return TokenCount(found.most, found.least, is_exact, model.limit.context)


def room_for_answer(call: Call, model: ModelDefinition, default: int) -> int:
    """Tokens of the context that are kept free: what the call caps its answer at, else a default that is not much."""
    return call.max_tokens or min(default, model.limit.output, model.limit.context // 4)


def refuse_overflow(call: Call, model: ModelDefinition, room: int) -> None:
    """Raises `ContextLengthExceeded` where the call may not fit beside its answer."""
    allowed = max(model.limit.context - room, 0)
    if _most_cheaply(call) > allowed:
        counted = count(call, model)
        if counted.tokens > allowed:
            raise exceeded(counted.tokens, allowed, model, "" if counted.is_exact else "up to ")


def truncated(call: Call, model: ModelDefinition, room: int) -> tuple[Call, tuple[Cut, ...]]:
    """The call, cut until it fits beside its answer, and what was cut: the oldest turns first, then the longest texts.

    The last turn (the newest user's message, and what followed it) stays, and so do the system prompt, tools and
    attachments. A tool's result is cut short where need be, and never apart from its call. Raises
    `ContextLengthExceeded` where that is not enough.
    """
    allowed = max(model.limit.context - room, 0)
    if _most_cheaply(call) <= allowed:
        return call, ()
    return _Cutting(call, model, allowed).cut()


def exceeded(counted: int, allowed: int, model: ModelDefinition, how: str = "") -> ContextLengthExceeded:
    """The error for a prompt that is too long."""
    return ContextLengthExceeded(
        f"The prompt has {how}{counted} tokens, and `{model.model}` takes {allowed}.",
        counted=counted, allowed=allowed, model=model.model, provider=model.provider,
    )  # fmt: skip


class _Counting:
    """A call's tokens, turn by turn."""

    def __init__(self, call: Call, model: ModelDefinition) -> None:
        self.vocabulary: Vocabulary = vocabulary_of(model.model)
        self._image = _COSTLY_IMAGE if "gpt-4o-mini" in model.model else _IMAGE
        self.fixed = self._fixed(call)
        self.turns = [self.turn(message) for message in call.messages]

    @property
    def total(self) -> Tokens:
        return sum(self.turns, self.fixed)

    def turn(self, message: Message) -> Tokens:
        return sum((self.part(part) for part in message.parts), Tokens(0, TURN_TOKENS))

    def part(self, part: Part) -> Tokens:
        if isinstance(part, Attachment):
            return self._attachment(part)
        counted = self.vocabulary.count(_text_of(part))
        # Reasoning of earlier turns is sent, and mostly not read again.
        return Tokens(0, counted.most) if isinstance(part, Reasoning) else counted

    def _fixed(self, call: Call) -> Tokens:
        tools = [self.vocabulary.count(_tool_text(tool)) for tool in call.tools]
        beside = sum((Tokens(found.least // 2, found.most + TOOL_TOKENS) for found in tools), _NOTHING)
        if tools and not self.vocabulary.is_known:
            beside += Tokens(0, TOOLS_TOKENS)
        if call.schema is not None:
            beside += Tokens(0, self.vocabulary.count(_json(call.schema)).most)
        return beside + self.vocabulary.count(call.system or "")

    def _attachment(self, part: Attachment) -> Tokens:
        data = part.data
        if data is None:
            return _NOTHING  # only the provider knows it
        if is_text(part.media_type):
            return self.vocabulary.count(data.decode(errors="replace"))
        if part.media_type.startswith("image/"):
            return self._image
        if part.media_type == PDF:
            pages = data.count(b"/Type /Page") + data.count(b"/Type/Page") - data.count(b"/Type /Pages")
            pages -= data.count(b"/Type/Pages")
            return Tokens(
                _PDF_PAGE.least * max(pages, 0), _PDF_PAGE.most * max(pages, len(data) // _LEAST_PAGE_BYTES, 1)
            )
        return Tokens(0, len(data) // _BYTES_A_TOKEN_OF_SOUND + 1)


class _Cutting:
    """A call on its way to fit."""

    def __init__(self, call: Call, model: ModelDefinition, allowed: int) -> None:
        self._call = call
        self._model = model
        self._allowed = allowed
        self._counting = _Counting(call, model)
        self._cuts: list[Cut] = []

    def cut(self) -> tuple[Call, tuple[Cut, ...]]:
        total = self._counting.total.most
        first = self._drop_turns(total - self._allowed)
        kept = list(self._call.messages[first:])
        left = self._counting.fixed.most + sum(turn.most for turn in self._counting.turns[first:])
        if left > self._allowed:
            kept = self._shorten(kept, first, left)
        return replace(self._call, messages=tuple(kept)), tuple(self._cuts)

    def _drop_turns(self, excess: int) -> int:
        """Where the conversation begins once the oldest turns are left out: always with a user's message."""
        starts = [place for place, message in enumerate(self._call.messages) if _begins(message)]
        first = 0
        for start in starts:
            if excess <= 0:
                break
            for place in range(first, start):
                excess -= self._counting.turns[place].most
                self._note(place, None, self._counting.turns[place].most, _characters(self._call.messages[place]))
            first = start
        return first

    def _shorten(self, kept: list[Message], first: int, total: int) -> list[Message]:
        """The longest texts cut to one length, such that the whole fits."""
        counts = {
            (place, position): self._counting.part(part).most
            for place, message in enumerate(kept)
            for position, part in enumerate(message.parts)
            if isinstance(part, Text | ToolResult)
        }
        room = self._allowed - (total - sum(counts.values()))
        level = _level(list(counts.values()), room)
        if level < self._counting.vocabulary.count(MARK).most:
            raise exceeded(total, self._allowed, self._model)
        for (place, position), tokens in counts.items():
            if tokens > level:
                kept[place] = self._shortened(kept[place], position, level, first + place)
        return kept

    def _shortened(self, message: Message, position: int, level: int, place: int) -> Message:
        part, vocabulary = message.parts[position], self._counting.vocabulary
        text = _text_of(part)
        short = vocabulary.cut(text, level - vocabulary.count(MARK).most)
        while short and vocabulary.count(short + MARK).most > level:
            short = vocabulary.cut(short, vocabulary.count(short).most - 1)
        cut = self._counting.part(part).most - vocabulary.count(short).most
        self._note(place, position, cut, len(text) - len(short))
        new = replace(part, **{"content" if isinstance(part, ToolResult) else "text": short + MARK})  # type: ignore[arg-type]
        return replace(message, parts=(*message.parts[:position], new, *message.parts[position + 1 :]))

    def _note(self, message: int, part: int | None, tokens: int, characters: int) -> None:
        self._cuts.append(Cut(message, part, self._call.messages[message].role, tokens, characters))


def _begins(message: Message) -> bool:
    return message.role == "user" and not any(isinstance(part, ToolResult) for part in message.parts)


def _level(counts: list[int], room: int) -> int:
    """The greatest length such that all texts, cut to it where they are longer, have room."""
    low, high = 0, max(counts, default=0)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if sum(min(each, middle) for each in counts) <= room else (low, middle - 1)
    return low


def _most_cheaply(call: Call) -> int:
    """More tokens than the call can have, without a tokenizer: its UTF-8 bytes, and what attachments can be."""
    size = sum(map(size_of, _texts_of(call))) + TURN_TOKENS * len(call.messages)
    if call.tools:
        size += TOOLS_TOKENS + sum(size_of(_tool_text(tool)) + TOOL_TOKENS for tool in call.tools)
    if call.schema is not None:
        size += size_of(_json(call.schema))
    files = [part for message in call.messages for part in message.parts if isinstance(part, Attachment)]
    return size + sum(map(_most_of, files))


def _most_of(part: Attachment) -> int:
    if part.data is None:
        return 0
    least = _COSTLY_IMAGE.most if part.media_type.startswith("image/") else _PDF_PAGE.most
    return least + (len(part.data) * 4 if part.media_type == PDF else len(part.data))


def _texts_of(call: Call) -> list[str]:
    parts = [part for message in call.messages for part in message.parts]
    said = [_text_of(part) for part in parts if not isinstance(part, Attachment)]
    return [call.system, *said] if call.system else said


def _text_of(part: Part) -> str:
    if isinstance(part, Text | Reasoning):
        return part.text
    if isinstance(part, ToolResult):
        return part.content
    if isinstance(part, ToolCall):
        return part.name + _json(part.arguments)
    return ""


def _tool_text(tool: Any) -> str:
    return f"{tool.name}{tool.description}{_json(tool.input_schema)}"


def _json(value: Mapping[str, Any]) -> str:
    try:
        return orjson.dumps(dict(value), default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return repr(value)  # what is no JSON is refused where the request is written


def _characters(message: Message) -> int:
    return sum(len(_text_of(part)) for part in message.parts)


def _fewest_tokens(text: str) -> int:
    """Tokens never reach across two words, and are never longer than `LONGEST_TOKEN`."""
    return sum(-(-len(word) // LONGEST_TOKEN) for word in text.split())
