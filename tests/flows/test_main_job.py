"""The main job: an article is created, a model is asked, the article is updated."""

import pytest

from datastead.testing.simulator import Simulator
from tests.flows.conftest import ARTICLES, House, Undone

GUIDE = {
    "trigger": "event",
    "options": {"type": "action", "scope": ["items.create"], "collections": ["articles"]},
    "operations": [
        {
            "operation": "ai-generate",
            "options": {
                "provider": "openai",
                "model": "gpt-4.1",
                "prompt": "Describe in a sentence: {{$trigger.title}} \n\n Text: {{$trigger.content | truncate(5)}}",
                "maxTokens": 160,
                "temperature": 0.7,
            },
            "resolve": "update-meta",
        },
        {
            "id": "update-meta",
            "operation": "item-update",
            "options": {
                "collection": "articles",
                "key": "{{$trigger.id}}",
                "payload": {"meta_description": "{{$last.content}}"},
            },
        },
    ],
}


async def test_a_created_article_gets_its_description_from_the_model(house: House, simulator: Simulator) -> None:
    await house.apply(GUIDE)
    simulator.script({"text": 'A "quoted"\nsentence about {{ tea }}.'})
    key = await house.items("articles").create({"title": "Tea", "content": "Long text"})
    (run,) = await house.ended()
    assert (run["status"], run["error"]) == ("resolved", None)
    assert (await house.items("articles").read_one(key))["meta_description"] == 'A "quoted"\nsentence about {{ tea }}.'
    (request,) = simulator.requests
    assert "Describe in a sentence: Tea \n\n Text: Long " in str(request["json"]["input"][0]).replace("\\n", "\n")
    assert (request["json"]["max_output_tokens"], request["json"]["temperature"]) == (160, 0.7)


async def test_the_run_can_be_looked_at_step_by_step(house: House, simulator: Simulator) -> None:
    await house.apply(GUIDE)
    await house.items("articles").create({"title": "Tea"})
    (run,) = await house.ended()
    first, second = run["steps"]
    assert [(s["key"], s["type"], s["status"], s["attempts"]) for s in run["steps"]] == [
        ("ai_generate", "ai-generate", "resolve", 1),
        ("update-meta", "item-update", "resolve", 1),
    ]
    assert first["output"]["usage"]["total"] > 0
    assert (first["output"]["model"], first["output"]["provider"]) == ("gpt-4.1", "openai")
    assert first["options"]["prompt"].startswith("Describe in a sentence: Tea")
    assert second["options"]["payload"] == {"meta_description": first["output"]["content"]}


async def test_the_update_starts_no_further_run(house: House) -> None:
    both = {**GUIDE, "options": {**GUIDE["options"], "scope": ["items.create", "items.update"]}}  # type: ignore[dict-item]
    await house.apply(both)
    await house.items("articles").create({"title": "Tea"})
    await house.ended()
    assert len(await house.runs()) == 1


async def test_every_article_of_many_is_done(house: House, simulator: Simulator) -> None:
    await house.apply(GUIDE)
    await house.items("articles").create_many([{"title": f"Article {number}"} for number in range(20)])
    runs = await house.ended(20)
    assert {run["status"] for run in runs} == {"resolved"}
    assert len(simulator.requests) == 20
    assert all(row.meta_description for row in await house.rows(ARTICLES))


async def test_a_model_that_fails_rejects_with_its_code(house: House, simulator: Simulator) -> None:
    await house.apply(GUIDE)
    simulator.default({"kind": "bad-key"})
    key = await house.items("articles").create({"title": "Tea"})
    (run,) = await house.ended()
    assert (run["status"], run["error"]["code"]) == ("rejected", "INVALID_API_KEY")
    assert (await house.items("articles").read_one(key))["meta_description"] is None


async def test_a_reject_path_takes_over(house: House, simulator: Simulator) -> None:
    generate, update = GUIDE["operations"]
    fallback = {
        "id": "note",
        "operation": "item-create",
        "options": {"collection": "notes", "payload": {"text": "{{ $last.code }}", "article": "{{ $trigger.key }}"}},
    }
    await house.apply({**GUIDE, "operations": [{**generate, "reject": "note"}, update, fallback]})  # type: ignore[dict-item]
    simulator.default({"kind": "bad-key"})
    key = await house.items("articles").create({"title": "Tea"})
    (run,) = await house.ended()
    assert run["status"] == "resolved"
    assert [(note["text"], note["article"]) for note in await house.items("notes").read()] == [("INVALID_API_KEY", key)]


async def test_a_change_that_is_rolled_back_starts_nothing(house: House) -> None:
    await house.apply(GUIDE)
    with pytest.raises(Undone):
        await house.create_and_undo("articles", {"title": "Tea"})
    assert await house.runs() == []
