"""Reads the documented answers in `fixtures/`, and runs a mapping on them. Sources: `fixtures/manifest.json`.

Its `types` name the release of the vendor's own SDK by whose types a body was found valid.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from datastead.ai.costs import Cost
from datastead.ai.models import Limit, ModelDefinition
from datastead.extensions import Provider, Registry
from datastead.messages import Call, Endpoint, StreamEvent, TextDelta, UsageReport, WireRequest

FIXTURES = Path(__file__).parent / "fixtures"
REGISTRY = Registry.discover()


def provider(name: str) -> Provider:
    return REGISTRY.provider(name).provider


def body(name: str) -> Any:
    return json.loads((FIXTURES / name).read_text())


def chunks(name: str) -> list[dict[str, Any]]:
    lines = (FIXTURES / name).read_text().splitlines()
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [json.loads(each) for each in data if each != "[DONE]"]


def whole(name: str, fixture: str) -> list[StreamEvent]:
    return list(provider(name).response(body(fixture)))


def streamed(name: str, fixture: str) -> list[StreamEvent]:
    decode = provider(name).decoder()
    return [event for chunk in chunks(fixture) for event in decode(chunk)]


def text_of(events: list[StreamEvent]) -> str:
    return "".join(event.content for event in events if isinstance(event, TextDelta))


def usage_of(events: list[StreamEvent]) -> Any:
    return [event.usage for event in events if isinstance(event, UsageReport)][-1]


def model(provider_name: str, name: str, **changes: Any) -> ModelDefinition:
    made = ModelDefinition(
        provider=provider_name,
        model=name,
        name=name,
        limit=Limit(context=200_000, output=64_000),
        cost=Cost(),
        attachment=True,
        reasoning=False,
    )
    return replace(made, **changes)


def wire(
    definition: ModelDefinition, call: Call, *, base_url: str = "https://host", key: str | None = "key"
) -> WireRequest:
    name = definition.provider
    return provider(name).request(Endpoint(name, base_url, key), definition, call)
