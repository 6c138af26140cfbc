"""Templates: what becomes of a flow's texts."""

import copy
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastead.errors import TemplateError
from datastead.extensions import Registry
from datastead.flows.template import Templates

TEMPLATES = Templates(Registry(("datastead.builtin",)))
EVENT = {
    "event": "articles.items.create",
    "payload": {
        "title": "Tea & milk",
        "tags": ["hot", "green"],
        "price": 1.5,
        "stock": 3,
        "draft": False,
        "note": None,
    },
    "key": 7,
    "collection": "articles",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def render(template: Any, **chain: Any) -> Any:
    return TEMPLATES.render(template, {"$trigger": EVENT, "$last": None, **chain}).value


def missing(template: Any, **chain: Any) -> tuple[str, ...]:
    return TEMPLATES.render(template, {"$trigger": EVENT, "$last": None, **chain}).missing


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{$trigger.title}}", "Tea & milk"),
        ("{{ $trigger.payload.title }}", "Tea & milk"),
        ("{{ $trigger.id }}", 7),
        ("{{ $trigger.key }}", 7),
        ("{{ $trigger.keys }}", [7]),
        ("{{ $trigger.event }}", "articles.items.create"),
        ("{{ $trigger.payload.tags[1] }}", "green"),
        ('{{ $trigger["payload"]["title"] }}', "Tea & milk"),
        ("{{ $trigger.price }}", 1.5),
        ("{{ $trigger.draft }}", False),
        ("{{ $trigger.note }}", None),
        ("{{ $trigger.payload }}", EVENT["payload"]),
        ("{{ $trigger }}", EVENT),
    ],
)
def test_a_lone_path_gives_the_raw_value(template: str, value: object) -> None:
    assert render(template) == value
    assert type(render(template)) is type(value)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("For {{$trigger.title}}:", "For Tea & milk:"),
        ("{{ $trigger.tags }}!", '["hot","green"]!'),
        ("draft: {{ $trigger.draft }}, {{ $trigger.price }}, {{ $trigger.stock }}", "draft: false, 1.5, 3"),
        ("[{{ $trigger.note }}]", "[]"),
        ("[{{ $trigger.nothing.deep }}]", "[]"),
        ("{{ update-meta.a-b }} of {{ update-meta }}", 'x of {"a-b":"x"}'),
        ("{% if $trigger.draft %}draft{% else %}live: {{ $trigger.title }}{% endif %}", "live: Tea & milk"),
        ("{% for tag in $trigger.tags %}#{{ tag }} {% endfor %}", "#hot #green "),
        ("no template: } { %", "no template: } { %"),
    ],
)
def test_text_takes_values_in(template: str, text: str) -> None:
    assert render(template, **{"update-meta": {"a-b": "x"}}) == text


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ $trigger.title | truncate(3) }}", "Tea"),
        ("{{ $trigger.title | truncate(5, '…') }}", "Tea …"),
        ("{{ $trigger.tags | join(', ') | upper }}", "HOT, GREEN"),
        ("{{ $trigger.nothing | default('none') }}", "none"),
        ("{{ $trigger.title | default('none') }}", "Tea & milk"),
        ("{{ $trigger.tags | length }}", 2),
        ("{{ $trigger.tags | first }}", "hot"),
        ("{{ $trigger.tags | last }}", "green"),
        ("{{ $trigger.tags | json }}", '["hot","green"]'),
        ("{{ $trigger.title | replace('&', 'and') }}", "Tea and milk"),
        ("{{ $last | trim }}", "x"),
        ("{{ html | striptags }}", "A & B"),
        ("{{ $trigger.title | lower }}", "tea & milk"),
        ("{{ $trigger.stock + 1 }}", 4),
        ("{{ $trigger.tags | length > 1 }}", True),
        ("{{ $trigger.tags | sort }}", ["green", "hot"]),
        ("{{ $trigger.title ~ '!' | upper }}", "Tea & milk!"),
    ],
)
def test_a_lone_expression_with_filters_keeps_its_type(template: str, value: object) -> None:
    assert render(template, **{"$last": " x\n", "html": "<p>A &amp; <b>B</b></p><script>no()</script>"}) == value


def test_decimals_and_large_numbers_are_kept() -> None:
    assert render("{{ n }}", n=Decimal("1.10")) == Decimal("1.10")
    assert render("{{ n }}", n=2**70) == 2**70
    assert render("{{ n | default(0) }} or {{ n }}", n=Decimal("1.10")) == "1.10 or 1.10"


def test_the_contracts_names_win_over_the_fields() -> None:
    trigger = {"event": "e", "collection": "c", "payload": {"event": "mine", "id": 9}, "key": 1}
    chain = {"$trigger": trigger}
    assert TEMPLATES.render("{{ $trigger.event }} {{ $trigger.id }}", chain).value == "e 1"


def test_keys_of_several_items_have_no_id() -> None:
    chain = {"$trigger": {"event": "e", "payload": {}, "keys": [1, 2], "collection": "c"}}
    found = TEMPLATES.render(["{{ $trigger.keys }}", "{{ $trigger.id }}"], chain)
    assert (found.value, found.missing) == ([[1, 2], None], ("$trigger.id",))


def test_a_missing_value_is_null_alone_and_nothing_in_text_and_is_noted() -> None:
    assert render({"a": "{{ $trigger.nope }}", "b": "x{{ gone.deep[0] }}y"}) == {"a": None, "b": "xy"}
    assert missing({"a": "{{ $trigger.nope }}", "b": "x{{ gone.deep[0] }}y"}) == ("$trigger.nope", "gone.deep[0]")
    assert missing("{% if $trigger.nope %}a{% endif %}") == ("$trigger.nope",)
    assert missing("{{ $trigger.nope | default(1) }}") == ()


def test_keys_of_objects_are_left_alone() -> None:
    assert render({"{{ $trigger.title }}": ["{{ $trigger.id }}", 1, None]}) == {"{{ $trigger.title }}": [7, 1, None]}


def test_names_inside_quotes_stay_as_they_are() -> None:
    assert render("{{ '$trigger.title }} {{' ~ $trigger.id }}") == "$trigger.title }} {{7"


@given(st.text())
def test_any_text_round_trips(text: str) -> None:
    assert render("{{ $last.content }}", **{"$last": {"content": text}}) == text
    assert render("<{{ $last.content }}>", **{"$last": {"content": text}}) == f"<{text}>"
    assert render({"a": {"b": ["{{ $last }}"]}}, **{"$last": text}) == {"a": {"b": [text]}}


@given(JSON)
def test_any_value_keeps_its_type(value: object) -> None:
    found = render("{{ value }}", value=value)
    assert found == value
    assert json.dumps(found) == json.dumps(value)


@given(JSON)
def test_rendering_changes_no_input(value: object) -> None:
    chain = {"$trigger": {"payload": value, "key": 1}, "v": value}
    before = copy.deepcopy(chain)
    template = {"a": "{{ v }}", "b": "{{ v | json }}", "c": "{% if v %}{{ v }}{% endif %}", "d": "{{ v == 1 }}"}
    found = TEMPLATES.render(template, chain).value
    if isinstance(found["a"], list):
        found["a"].append("more")
    assert chain == before


@given(st.text(alphabet="{}%$ab.|'\"\n-#"))
def test_any_template_is_rendered_or_refused(text: str) -> None:
    try:
        TEMPLATES.check(text)
        render(text)
    except TemplateError:
        pass


@pytest.mark.parametrize(
    "template", ["{{ d.update({'x': 1}) }}", "{{ l.append(3) }}", "{{ d.clear() }}", "{{ d.pop('a') }}"]
)
def test_templates_cannot_call_methods(template: str) -> None:
    data: dict[str, Any] = {"d": {"a": 1}, "l": [1, 2]}
    with pytest.raises(TemplateError):
        render(template, **data)
    assert data == {"d": {"a": 1}, "l": [1, 2]}


def test_methods_of_python_are_not_seen() -> None:
    assert render("[{{ d.items ~ d.__class__ ~ l.append }}]", d={}, l=[]) == "[]"
    assert render("{{ d.items }}", d={"items": 3}) == 3


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 1000000000 }}",
        "{% set n = namespace(v='xxxxxxxx') %}{% for i in range(60) %}{% set n.v = n.v ~ n.v %}{% endfor %}",
    ],
)
def test_endless_templates_run_out_of_fuel(template: str) -> None:
    with pytest.raises(TemplateError, match="fuel"):
        render(template)


@pytest.mark.parametrize(
    ("template", "line", "column"),
    [
        ("{{ $trigger.title", 1, 1),
        ("a {{ }}", 1, 3),
        ("a\n {{ $trigger.title | shout }}", 2, 2),
        ("{{ $trigger. }}", 1, 1),
        ("{{ a + }}", 1, 1),
        ("x {% if a %}", 1, 3),
        ("{{ a | truncate( }}", 1, 1),
    ],
)
def test_a_bad_template_is_found_with_its_position(template: str, line: int, column: int) -> None:
    with pytest.raises(TemplateError) as caught:
        TEMPLATES.check(template)
    assert (caught.value.details["line"], caught.value.details["column"]) == (line, column)


def test_data_is_never_rendered() -> None:
    payload = {"title": "{{ $env }} {% for %} {{", "nested": ["{{ 1 + 1 }}"]}
    chain = {"$trigger": {"payload": payload}, "$env": {"SECRET": "s"}}
    found = TEMPLATES.render(
        {"a": "{{ $trigger.title }}", "b": "t: {{ $trigger.title }}", "c": "{{ $trigger.payload }}"}, chain
    )
    assert found.value == {"a": payload["title"], "b": f"t: {payload['title']}", "c": payload}
