"""What a workflow is checked for as it is made, and how it is stored."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh import Condition, Limits, Over, Stage, Workflow
from agentmesh.agents.refiner import VoteRefiner
from agentmesh.errors import ConfigError
from agentmesh.graphs.workflow.order import Order, check_order, find_cycle
from agentmesh.graphs.workflow.spec import workflow_of
from agentmesh.graphs.workflow.template import filled, names_in
from agentmesh.records import Objective, Preference

YES = Condition(contains="yes")


def flow(*stages: Stage, output: str | None = None) -> Workflow:
    return Workflow(stages=stages, output=output or stages[-1].name)


def stage(name: str, *after: str, prompt: str = "{task}", **options: object) -> Stage:
    return Stage.model_validate({"name": name, "after": after, "prompt": prompt, **options})


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: flow(stage("a", "b"), stage("b", "c"), stage("c", "a")), r"in a cycle: 'a' -> 'c' -> 'b' -> 'a'"),
    (lambda: flow(stage("a", "a")), "in a cycle: 'a' -> 'a'"),
    (lambda: flow(stage("a", "x")), "stage 'a' comes after 'x', which is no stage"),
    (lambda: flow(stage("a"), stage("a")), "two stages are called 'a'"),
    (lambda: flow(stage("a"), output="b"), "the output is 'b', which is no stage"),
    (lambda: flow(stage("a"), stage("b")), "does not hang on stage 'a'"),
    (lambda: flow(stage("a", prompt="{b}"), stage("b", "a")), "the prompt of stage 'a' names 'b'"),
    (lambda: stage("a", until=YES), "the loop of stage 'a' has no bound"),
    (lambda: stage("a", most=2), "neither over= nor until="),
    (lambda: stage("a", back_to="b"), "has no until="),
    (lambda: stage("a", until=YES, most=2, over=Over(inputs="x")), "has over= and until="),
    (lambda: stage("a", prompt="{item}"), "names {item}, and it has no over="),
    (lambda: stage("a", prompt=" "), "say what is asked"),
    (lambda: stage("a", agents=()), "leave it out for all agents"),
    (lambda: stage("task"), "a stage is called 'task'"),
    (lambda: stage("a b"), "a stage is called 'a b'"),
    (lambda: Over(), "give one of the two"),
    (lambda: Over(inputs="x", stage="y"), "give one of the two"),
    (lambda: flow(stage("a", over=Over(stage="b"))), "over= of stage 'a' names 'b'"),
    (lambda: Condition(), "a condition says nothing"),
    (lambda: Condition(matches="(a+)+$"), "may take for ever"),
    (lambda: flow(stage("a", when=Condition(of="b", contains="x"))), "when= of stage 'a' names 'b'"),
    (lambda: flow(stage("a", until=Condition(of="b", contains="x"), most=2)), "until= of stage 'a' names 'b'"),
    (lambda: flow(stage("a", again="{task}")), "has again=, and is in no loop"),
    (lambda: flow(stage("a", until=YES, most=2, back_to="x")), "goes back to 'x', which is no stage"),
    (
        lambda: flow(stage("a"), stage("b", until=YES, most=2, back_to="a"), stage("c", "a", "b")),
        "'b' goes back to 'a', which does not stand before it",
    ),
    (
        lambda: flow(stage("a"), stage("b", "a", until=YES, most=2, back_to="a"), stage("c", "a", "b")),
        "stage 'c' comes after 'a', which the loop up to 'b' runs again",
    ),
    (
        lambda: flow(stage("a"), stage("x"), stage("b", "a", "x", until=YES, most=2, back_to="a")),
        "let 'a' come after 'x' too",
    ),
    (
        lambda: flow(stage("a", over=Over(inputs="x")), stage("b", "a", until=YES, most=2, back_to="a")),
        "in the loop of 'b', so it cannot have over=",
    ),
    (
        lambda: flow(stage("a", until=YES, most=2), stage("b", "a", until=YES, most=2, back_to="a")),
        "stage 'a' is in the loops of 'a' and 'b'",
    ),
]


@pytest.mark.parametrize(("make", "said"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_work_is_refused_as_it_is_made(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()


WHOLE = flow(
    stage("plan", over=Over(inputs="parts", form="json"), most=5, agents=("ann",), skills=("planning",)),
    stage("write", "plan", again="{write} {review}", limits=Limits(cost_usd="0.5"), objective=Objective(cost=1.0)),
    stage("review", "write", until=Condition(at_least=8, negated=True), most=3, back_to="write", on_failure="skip"),
    stage("end", "review", when=YES, preferences=(Preference(action="pin", agents=("bob",)),), context="all"),
)


def test_a_workflow_is_built_again_from_what_is_stored_of_it() -> None:
    again = workflow_of(WHOLE.as_json())
    assert again == WHOLE
    assert again.fingerprint == WHOLE.fingerprint
    assert again.by_name["write"].limits == Limits(cost_usd="0.5")
    assert again.by_name["write"].limits.model_fields_set == {"cost_usd"}  # what was not set must not stand above


@pytest.mark.parametrize(
    ("option", "value"), [("when", lambda answers: True), ("refiner", VoteRefiner()), ("over", lambda answers: [])]
)
def test_what_is_stored_by_name_alone_has_to_be_passed_again(option: str, value: object) -> None:
    made = flow(stage("a", **{option: value}))
    with pytest.raises(ConfigError, match=f"{option}= of stage 'a' is .*pass the workflow itself"):
        workflow_of(made.as_json())


def test_fingerprints_tell_workflows_apart_by_what_they_do() -> None:
    one, other = flow(stage("a", prompt="Sum up {task}")), flow(stage("a", prompt="Sum up: {task}"))
    assert one.fingerprint != other.fingerprint
    assert flow(stage("a", when=len)).fingerprint != flow(stage("a", when=str)).fingerprint


def test_stages_have_layers_and_a_loop_holds_what_lies_between_its_ends() -> None:
    order = Order({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c", "a"], "e": ["d"]})
    assert dict(order.layers) == {"a": 0, "b": 1, "c": 1, "d": 2, "e": 3}
    assert order.nearest("d") == ("b", "c")
    assert order.between("a", "d") == {"a", "b", "c", "d"}
    assert WHOLE.loops == {"write": "review", "review": "review"}


NAMES = [f"s{number}" for number in range(7)]
EDGES = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3, unique=True))


@given(EDGES)
def test_an_order_is_found_exactly_where_there_is_no_cycle_and_a_cycle_is_told_as_it_runs(
    drawn: dict[str, list[str]],
) -> None:
    after = {name: drawn.get(name, []) for name in NAMES}
    cycle = find_cycle(after)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert all(before in after[name] for before, name in itertools.pairwise(cycle))
        with pytest.raises(ConfigError, match="in a cycle"):
            check_order(after)
        return
    order = Order(after)
    assert sorted(order.names) == NAMES
    assert all(order.names.index(before) < order.names.index(name) for name in NAMES for before in after[name])
    assert all(order.layers[before] < order.layers[name] for name in NAMES for before in after[name])


@given(st.text(), st.text())
def test_a_text_that_is_put_into_a_prompt_arrives_as_it_is(one: str, other: str) -> None:
    assert filled("<{task}|{a-b}>", {"task": one, "a-b": other}) == f"<{one}|{other}>"


@pytest.mark.parametrize(
    ("prompt", "names"), [("{{task}}", ()), ("{task.__class__} {0} {}", ()), ('{"a": {x}}', ("x",)), ("{x}{x}", ("x",))]
)
def test_only_plain_names_in_single_braces_are_places(prompt: str, names: tuple[str, ...]) -> None:
    assert names_in(prompt) == names


@pytest.mark.parametrize(
    ("condition", "text", "holds"),
    [
        (Condition(contains="OK"), "it is ok", True),
        (Condition(equals="ok"), " OK\n", True),
        (Condition(equals="ok"), "ok.", False),
        (Condition(matches=r"score: \d"), "the Score: 7", True),
        (Condition(at_least=7), "v2 says: score-7 of 10", True),
        (Condition(at_least=1000), "1,000.5", True),
        (Condition(at_least=8), "7,5", False),
        (Condition(at_least=7), "none", False),
        (Condition(at_least=7, contains="sure"), "8, not certain", False),
        (Condition(contains="ok", negated=True), "no", True),
        (Condition(contains="ok", negated=True), None, False),
    ],
)
def test_a_condition_says_something_of_a_text(condition: Condition, text: str | None, holds: bool) -> None:
    assert condition.holds(text) is holds


@pytest.mark.parametrize(
    ("over", "answer", "inputs", "items"),
    [
        (Over(inputs="x"), None, {"x": ["a", 1, {"b": 2}]}, ("a", "1", '{"b": 2}')),
        (Over(inputs="x"), None, {"x": "a\n\n b "}, ("a", "b")),
        (Over(stage="s"), "- a\n* b\n3) c\n4. d\n-5", {}, ("a", "b", "c", "d", "-5")),
        (Over(stage="s", form="json"), 'Sure: ["a", "b"] done', {}, ("a", "b")),
        (Over(stage="s"), None, {}, ()),
    ],
)
def test_items_are_read_from_inputs_and_answers(
    over: Over, answer: str | None, inputs: dict[str, object], items: tuple[str, ...]
) -> None:
    assert over.items(answer, inputs) == items  # type: ignore[arg-type]  # JSON values


@pytest.mark.parametrize(
    ("over", "answer", "inputs", "said"),
    [
        (Over(inputs="x"), None, {}, "the task has no input 'x'"),
        (Over(inputs="x"), None, {"x": 5}, r"is mapped over 5 \(int\)"),
        (Over(inputs="x", form="json"), None, {"x": "no list"}, "'no list' holds none"),
        (Over(stage="s", form="json"), '[1, "b"' + "x" * 90, {}, "holds none"),
        (Over(stage="s", form="json"), "[" * 100_000, {}, "holds none"),
    ],
)
def test_what_holds_no_list_is_told(over: Over, answer: str | None, inputs: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        over.items(answer, inputs)  # type: ignore[arg-type]  # JSON values
