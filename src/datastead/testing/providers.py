"""What every provider has to do. A provider's own tests subclass `ProviderConformance` and bring documented answers.

class TestMyProvider(ProviderConformance):
    provider = MyProvider()
    answer = {…}    # a whole answer, as the vendor documents it: some text, with its usage
    chunks = [{…}]  # the same answer as a stream: the `data` of each event
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar
from urllib.parse import urlsplit

from datastead.ai.costs import Cost
from datastead.ai.models import Limit, ModelDefinition
from datastead.errors import AIError, InvalidApiKey, ProviderUnavailable, QuotaExceeded, RateLimitExceeded
from datastead.extensions import Provider
from datastead.messages import Call, Endpoint, Finished, Message, StreamEvent, Text, TextDelta, UsageReport

KEY = "a-key-that-nobody-may-see"
BASE_URL = "https://api.example.com/v1"
ODD_BODIES: tuple[Any, ...] = (
    None,
    "",
    "<html>Bad gateway</html>",
    {},
    [],
    {"error": None},
    {"error": "Nope"},
    [None],
    7,
)


class ProviderConformance:
    """The tests. Needs pytest. `provider`, `answer` and `chunks` are set by the subclass."""

    provider: ClassVar[Provider]
    answer: ClassVar[Mapping[str, Any]]
    chunks: ClassVar[Sequence[dict[str, Any]]]

    def test_a_request_is_json_and_the_same_each_time(self) -> None:
        for stream in (False, True):
            first, second = (self.provider.request(_endpoint(), _model(), _call(stream=stream)) for _ in range(2))
            assert first == second
            assert json.loads(json.dumps(first.json)) == first.json

    def test_a_request_goes_to_the_address_that_is_configured(self) -> None:
        for name in ("small", "../../elsewhere", "small?key=1#x", "http://elsewhere.example"):
            url = self.provider.request(_endpoint(), _model(name), _call(name)).url
            expected, found = urlsplit(BASE_URL), urlsplit(url)
            assert (found.scheme, found.netloc, found.fragment) == (expected.scheme, expected.netloc, "")
            assert "key=1" not in found.query, "A model's name is not part of the query."
            assert ".." not in found.path.split("/"), "A model's name does not leave its place in the path."

    def test_the_key_is_in_the_headers_and_nowhere_else(self) -> None:
        request = self.provider.request(_endpoint(), _model(), _call())
        assert KEY not in request.url
        assert KEY not in json.dumps(request.json)
        assert any(KEY in value for value in request.headers.values())

    def test_a_whole_answer_is_text_usage_and_an_end(self) -> None:
        events = list(self.provider.response(self.answer))
        assert isinstance(events[-1], Finished)
        assert sum(isinstance(event, Finished) for event in events) == 1
        assert text_of(events)
        assert _usage(events).usage.total > 0

    def test_a_stream_gives_what_the_whole_answer_gives(self) -> None:
        whole, streamed = list(self.provider.response(self.answer)), self._streamed()
        assert text_of(streamed) == text_of(whole)
        assert _parts(streamed) == _parts(whole)
        assert [each for each in streamed if isinstance(each, Finished)] == [whole[-1]]

    def test_streams_know_nothing_of_one_another(self) -> None:
        one, other = self.provider.decoder(), self.provider.decoder()
        events: list[StreamEvent] = []
        for chunk in self.chunks:
            events += one(chunk)
            list(other(chunk))
        assert text_of(events) == text_of(self._streamed())

    def test_what_is_not_known_is_passed_over(self) -> None:
        decode = self.provider.decoder()
        odd: list[dict[str, Any]] = [{"type": "nobody.knows"}, {"nobody": "knows"}, {}]
        events = [event for chunk in (*odd, *self.chunks) for event in decode(chunk)]
        assert text_of(events) == text_of(self._streamed())

    def test_an_answer_of_another_shape_is_a_typed_error(self) -> None:
        for name in self.answer:
            try:
                list(self.provider.response({**self.answer, name: 7}))
            except AIError:
                continue

    def test_every_refusal_is_a_typed_error(self) -> None:
        expected: dict[int, tuple[type[AIError], ...]] = {
            401: (InvalidApiKey,), 429: (RateLimitExceeded, QuotaExceeded), 500: (ProviderUnavailable,),
            503: (ProviderUnavailable,),
        }  # fmt: skip
        for body in ODD_BODIES:
            for status in (400, 401, 403, 404, 409, 413, 422, 429, 500, 503):
                error = self.provider.error(status, {}, body)
                assert isinstance(error, expected.get(status, (AIError,))), (status, body, error)

    def _streamed(self) -> list[StreamEvent]:
        decode = self.provider.decoder()
        return [event for chunk in self.chunks for event in decode(chunk)]


def text_of(events: Iterable[StreamEvent]) -> str:
    return "".join(event.content for event in events if isinstance(event, TextDelta))


def _usage(events: Iterable[StreamEvent]) -> UsageReport:
    return [event for event in events if isinstance(event, UsageReport)][-1]


def _parts(events: Iterable[StreamEvent]) -> dict[str, Any]:
    usage = _usage(events).usage
    return {each.name: getattr(usage, each.name) for each in fields(usage) if each.name != "raw"}


def _endpoint() -> Endpoint:
    return Endpoint("example", BASE_URL, KEY)


def _model(name: str = "small") -> ModelDefinition:
    limit = Limit(context=128_000, output=4_096)
    return ModelDefinition("example", name, name, limit, Cost(), attachment=False, reasoning=False)


def _call(name: str = "small", *, stream: bool = False) -> Call:
    return Call(model=name, messages=(Message("user", (Text("Hello"),)),), max_tokens=100, stream=stream)
