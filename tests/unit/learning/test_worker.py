"""The learning process from the inside, and what it says: run here, in a thread."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.learning.frames import Frame, Order, read_frame, write_frame
from agentmesh.learning.learner import LogFollower, state_key
from agentmesh.learning.worker import LearningWorker, router_of, serve
from agentmesh.packing import pack_vector
from agentmesh.records import Experience, RouterMark, RouterState
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.routing.serving import ServingRouter
from agentmesh.store import open_store
from agentmesh.store.base import TraceStore
from agentmesh.store.memory import MemoryStore

EMBEDDER = HashingEmbedder()

STATES = st.builds(
    RouterState,
    router=st.text(max_size=9),
    parameters=st.text(max_size=9),
    sequence=st.integers(0, 2**62),
    at=st.floats(allow_nan=False, allow_infinity=False),
    payload=st.binary(max_size=2000),
)
FRAMES = st.builds(Frame, reached=st.integers(0, 2**62), state=st.none() | STATES)


@given(st.lists(FRAMES, max_size=4))
def test_frames_come_out_as_they_went_in(frames: list[Frame]) -> None:
    stream = BytesIO()
    for frame in frames:
        write_frame(stream, frame)
    stream.seek(0)
    assert [read_frame(stream) for _ in frames] == frames
    assert read_frame(stream) is None


def test_what_is_no_frame_is_named_and_not_waited_for() -> None:
    with pytest.raises(ValueError, match="no frame begins with b'Hell'"):
        read_frame(BytesIO(b"Hello, I am a library that greets"))


@given(FRAMES, st.data())
def test_a_frame_that_breaks_off_is_the_end(frame: Frame, data: st.DataObject) -> None:
    stream = BytesIO()
    write_frame(stream, frame)
    whole = stream.getvalue()
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert read_frame(BytesIO(whole[:cut])) is None


class LogStore(MemoryStore):
    """A store whose log can be filled without runs."""

    def add(self, count: int) -> None:
        first = self.last_experience() + 1
        for sequence in range(first, first + count):
            self._number([_experience(sequence)])


def _experience(number: int) -> Experience:
    text = f"question {number}"
    vector = pack_vector(EMBEDDER.embed([text])[0])
    return Experience(
        run_id=f"run-{number}",
        text=text,
        vector=vector,
        embedder=EMBEDDER.version,
        agent_id="a",
        quality=(number % 3) / 2,
        at=float(number),
    )


class Output(BytesIO):
    """Takes frames, and stops the worker after some number of them."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after
        self.worker: LearningWorker | None = None

    def flush(self) -> None:
        self.left -= 1
        if self.left == 0 and self.worker is not None:
            self.worker.stop()

    def frames(self) -> list[Frame]:
        self.seek(0)
        found = []
        while (frame := read_frame(self)) is not None:
            found.append(frame)
        return found


def worker_of(store: LogStore, output: Output, *, publish_s: float = 0.25, poll_s: float = 0.01) -> LearningWorker:
    follower = LogFollower(store, ServingRouter(KernelRouter()), EMBEDDER)
    output.worker = LearningWorker(follower, output, publish_s=publish_s, poll_s=poll_s)
    return output.worker


def learned_by(store: LogStore, until: int) -> RouterState:
    router = KernelRouter()
    for experience in store.experiences(until=until):
        router.learn(experience)
    return router.snapshot()


def test_a_state_goes_out_when_all_is_learned() -> None:
    store, output = LogStore(), Output(after=1)
    store.add(450)
    worker_of(store, output, publish_s=1000).run()
    (frame,) = output.frames()
    assert (frame.reached, frame.state) == (450, learned_by(store, 450))


def test_states_go_out_while_there_is_more_to_learn() -> None:
    store, output = LogStore(), Output(after=1)
    store.add(450)
    worker_of(store, output, publish_s=1e-9).run()
    (frame,) = output.frames()
    assert frame.state is not None
    assert frame.reached < 450
    assert frame.state == learned_by(store, frame.reached)


@pytest.mark.parametrize(("poll_s", "wakes"), [(0.005, False), (1000, True)])
def test_what_is_added_is_learned_when_the_worker_is_woken_or_looks_by_itself(poll_s: float, *, wakes: bool) -> None:
    store, output = LogStore(), Output(after=2)
    store.add(1)
    worker = worker_of(store, output, poll_s=poll_s)
    running = threading.Thread(target=worker.run)
    running.start()
    while output.left == 2:
        pass
    store.add(1)
    if wakes:
        worker.wake()
    running.join(10)
    assert [frame.reached for frame in output.frames()] == [1, 2]


def test_a_number_that_is_not_for_this_router_moves_it_on_without_a_state() -> None:
    store, output = LogStore(), Output(after=1)
    other = KernelRouter(temperature=0.5)
    key = state_key("kernel", EMBEDDER.version)
    parameters = other.parameters_hash
    mark = RouterMark(router=key, root=parameters, parameters=parameters, kind="reset", at=1.0)
    store.put_mark(mark, other.snapshot().model_copy(update={"router": key}))
    worker_of(store, output).run()
    assert output.frames() == [Frame(reached=1)]


def order_for(store: str) -> Order:
    router = KernelRouter(temperature=0.5)
    return Order(
        store=store,
        router="agentmesh.routing.neighbours:KernelRouter",
        parameters=dict(router.parameters),
        root=router.parameters_hash,
        embedder=EMBEDDER.version,
        publish_s=1,
        poll_s=1000,
    )


def test_an_order_names_the_routers_class_and_arguments() -> None:
    order = order_for("sqlite:////nowhere.db")
    assert router_of(Order.model_validate_json(order.model_dump_json())).version == f"{order.root}@0"


class Line:
    """A worker that serves in a thread, and both ends of its pipes."""

    def __init__(self, stack: ExitStack) -> None:
        (source, sink), (states, out) = os.pipe(), os.pipe()
        self.source, self.states = (stack.enter_context(os.fdopen(end, "rb")) for end in (source, states))
        self.sink, self.out = (stack.enter_context(os.fdopen(end, "wb", buffering=0)) for end in (sink, out))
        self.thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        serve(self.source, self.out)

    def begin(self, order: Order, *, state: RouterState | None = None) -> None:
        self.sink.write(order.model_dump_json().encode() + b"\n")
        write_frame(self.sink, Frame(reached=0 if state is None else state.sequence, state=state))
        self.thread.start()


@pytest.fixture
def line() -> Iterator[Line]:
    with ExitStack() as stack:
        yield Line(stack)


def stored_mark(store: TraceStore, router: KernelRouter) -> None:
    """Put something into the log that this router takes over."""
    key, root = state_key("kernel", EMBEDDER.version), KernelRouter(temperature=0.5).parameters_hash
    mark = RouterMark(router=key, root=root, parameters=router.parameters_hash, kind="trained", at=1.0)
    store.put_mark(mark, router.snapshot().model_copy(update={"router": key}))


def test_a_worker_serves_until_its_input_ends(line: Line, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    with open_store(url) as store:
        stored_mark(store, KernelRouter(temperature=0.5))
        line.begin(order_for(url), state=KernelRouter(temperature=0.5).snapshot())
        first = read_frame(line.states)
        stored_mark(store, KernelRouter(temperature=0.5))
        line.sink.write(b"\n")
        second = read_frame(line.states)
    line.sink.close()
    line.thread.join(10)
    assert not line.thread.is_alive()
    assert [frame and frame.reached for frame in (first, second)] == [1, 2]


def test_a_worker_ends_when_nobody_takes_its_states(line: Line, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    with open_store(url) as store:
        stored_mark(store, KernelRouter(temperature=0.5))
    line.states.close()
    line.begin(order_for(url))
    line.thread.join(10)
    assert not line.thread.is_alive()
    line.sink.close()


def test_a_worker_whose_mesh_is_gone_before_it_begins_does_nothing(line: Line) -> None:
    line.sink.write(order_for("sqlite:////nowhere/mesh.db").model_dump_json().encode() + b"\n")
    line.sink.close()
    line.thread.start()
    line.thread.join(10)
    assert not line.thread.is_alive()
