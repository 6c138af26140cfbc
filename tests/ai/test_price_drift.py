"""The built-in table beside genai-prices: where they differ, with the reason; a drift of either fails here."""

from datetime import date
from typing import Any

import pytest

from datastead import AI, Settings
from datastead.ai import price_data
from datastead.ai.catalog import CHECKED
from datastead.ai.costs import RATE_NAMES, Cost
from datastead.ai.endpoints import Endpoints
from datastead.ai.models import BUILT_IN, VENDORS, ModelDefinition
from tests.ai.conftest import REGISTRY

CONTRACT_CONTEXT = "the contract's window; a larger one is a paid or a beta option of the vendor"
ROUNDED = "the package's number is rounded"
KNOWN: dict[tuple[str, str], str] = {
    ("gpt-4.1-nano", "context"): ROUNDED,
    ("gpt-4.1-mini", "context"): ROUNDED,
    ("gpt-4.1", "context"): ROUNDED,
    ("gpt-5.1-chat-latest", "context"): "the package has it as another name of gpt-5.1",
    ("gpt-5.2-chat-latest", "context"): "the package has it as another name of gpt-5.2",
    ("gpt-5.4", "batch.cache_read"): ROUNDED,
    ("gpt-5.4", "flex.cache_read"): ROUNDED,
    ("gpt-5.5", "context"): ROUNDED,
    ("gpt-5.5-pro", "context"): ROUNDED,
    ("claude-sonnet-4-6", "context"): CONTRACT_CONTEXT,
    ("claude-opus-4-6", "context"): CONTRACT_CONTEXT,
    ("claude-opus-4-7", "context"): CONTRACT_CONTEXT,
    ("gemini-2.5-flash-lite", "context"): ROUNDED,
    ("gemini-3-flash-preview", "context"): ROUNDED,
    (
        "gemini-3-pro-preview",
        "batch",
    ): "half the price, as Google announced batch mode for its models in July 2025; the package has none for it",
    (
        "gemini-3.1-flash-lite-preview",
        "all",
    ): "the package knows the model that followed the preview, for half the price",
}
"""What may differ: the model, what of it, and why."""

CHAT = [model for model in BUILT_IN.values() if model.kind == "chat"]


def numbers(model: ModelDefinition) -> dict[str, Any]:
    return {"context": model.limit.context, **rates(model.cost)}


def rates(cost: Cost) -> dict[str, Any]:
    """Every rate by its name: `input`, `above 200000.input`, `batch.input`."""
    found: dict[str, Any] = cost.given()
    found |= {f"above {above}.{name}": rate for above, long in cost.long for name, rate in long.given().items()}
    for tier, scale in cost.tiers:
        found |= {f"{tier}.{name}": rate for name, rate in scale.given().items()}
    return found


def differences() -> dict[tuple[str, str], tuple[Any, Any]]:
    """Model and what of it: our number and the package's. A tier that one of the two lacks counts once."""
    found: dict[tuple[str, str], tuple[Any, Any]] = {}
    for ours in CHAT:
        theirs = price_data._known(ours.provider, ours.model, CHECKED)
        if theirs is None:
            found[ours.model, "all"] = (True, False)
            continue
        for name in tiers(ours) ^ tiers(theirs):
            found[ours.model, name] = (name in tiers(ours), name in tiers(theirs))
        left, right = numbers(ours), numbers(theirs)
        for name in left.keys() & right.keys():
            if left[name] != right[name]:
                found[ours.model, name] = (left[name], right[name])
        for name in (left.keys() ^ right.keys()) & {*RATE_NAMES}:
            found[ours.model, name] = (left.get(name), right.get(name))
    return found


def tiers(model: ModelDefinition) -> set[str]:
    return {tier for tier, _ in model.cost.tiers}


def test_the_table_differs_from_genai_prices_only_where_there_is_a_reason() -> None:
    found = differences()
    unexplained = {key: value for key, value in found.items() if key not in KNOWN}
    assert unexplained == {}, "ours, theirs: check the vendor's page, then mend the table or give the reason in `KNOWN`"


def test_no_reason_outlives_its_difference() -> None:
    assert set(KNOWN) - set(differences()) == set()


def test_the_embeddings_cost_what_genai_prices_says() -> None:
    theirs = {info.id: info for vendor in VENDORS for info in getattr(price_data._vendor(vendor), "models", ())}
    ours = {model.model: model.cost.input for model in BUILT_IN.values() if model.kind == "embedding"}
    assert ours == {model: float(theirs[model].prices.input_mtok) for model in ours}


@pytest.mark.parametrize("vendor", VENDORS)
def test_whatever_is_listed_can_be_called_by_its_name_and_is_the_same(vendor: str) -> None:
    settings = Settings(**{f"ai_{vendor}_enabled": True, f"ai_{vendor}_api_key": "k"})
    listed = Endpoints(settings).models(all=True)
    assert len(listed) > len([model for model in BUILT_IN.values() if model.provider == vendor])
    for model in listed:
        assert Endpoints(settings).resolve(model.model)[0] == model
        assert model.cost.state == "known"
        assert model.cost.source
        assert model.limit.context > 0
        assert model.limit.output > 0 or model.kind == "embedding"


def test_the_models_of_several_vendors_are_still_told_apart() -> None:
    given = {
        f"ai_{vendor}_{name}": value for vendor in VENDORS for name, value in (("enabled", True), ("api_key", "k"))
    }
    ai = AI(Settings(**given), registry=REGISTRY)
    assert len({(model.provider, model.model) for model in ai.models(all=True)}) == len(ai.models(all=True))


def test_the_price_of_a_day_is_that_days() -> None:
    days = [date(2026, 11, 30), date(2026, 12, 1)]
    before, after = (price_data.known_elsewhere("google", "gemini-4-argon", day) for day in days)
    assert before is not None
    assert after is not None
    assert (before.cost.input, after.cost.input) == (2.0, 4.0)
