"""The screen of the routers, by a pilot on a store in which a router has learned."""

from agentmesh.learning.predictions import newest_predictions
from agentmesh.tui.messages import PredictionsRead, RouterRead, RoutersRead, TrailsRead
from agentmesh.tui.widgets.rows import Rows
from tests.tui.apps import LARGE, press, reads, shown, text_of, until
from tests.tui.learned import PARAMETERS, add_outcome, learned, learned_store


async def test_the_history_of_a_router_is_walked_by_keys_with_what_changed() -> None:
    async with shown(learned()) as (app, pilot):
        await press(pilot, "4")
        text = await reads(pilot, "[·] ▸", f"Trails at {PARAMETERS}@40", "rose most")
        assert "40 outcomes; learned anew from 32" in text
        stops = app.screen._learned.stops
        stored = next(number for number, stop in enumerate(stops) if stop.kind == "stored")
        await press(pilot, "n", *["p"] * (len(stops) - 1 - stored))
        text = await reads(pilot, f"Trails at {PARAMETERS}@32", f"Changed since {stops[stored - 1].version}")
        assert "32 outcomes; state stored whole" in text
        assert "[■]" in text
        app.screen._go_to(1)
        await press(pilot, "p", "p")
        await reads(pilot, "nothing learned yet", "No trail yet")
        assert "Changed since" not in text_of(app)
        await press(pilot, "n")
        await reads(pilot, f"Trails at {stops[1].version}", "new types: sums, dates")


async def test_the_parts_of_a_router_are_keys_away_and_fit_80_columns() -> None:
    async with shown(learned()) as (app, pilot):
        await press(pilot, "4")
        await reads(pilot, "Trails at")
        for key, words in (
            ("l", ("mean quality, 0 to 1", "mean cost of a call, USD", "└───", "▲", "outcome  1")),
            (
                "l",
                (
                    "0.8-0.9     16  0.50 0.28-0.72",
                    "ECE 0.211",
                    "Brier score 0.275",
                    "36 of the newest",
                    "4 not counted",
                ),
            ),
            ("right", ("Kinds of task", "taken for sums 70%, dates 20%", "├─ maths", "│  └─ past tasks like it")),
            ("l", ("built with types 16", "▲ set by hand")),
            ("left", ("Kinds of task",)),
            ("h", ("ECE",)),
        ):
            await press(pilot, key)
            await reads(pilot, *words)
            assert app.focused is app.screen.query_one(Rows)
        await press(pilot, "l", "l", "l")
        part = app.screen.query_one("#trails VerticalScroll")
        await press(pilot, "J")
        await until(pilot, lambda: part.scroll_offset.y == 1)
        await press(pilot, "K")
        await until(pilot, lambda: part.scroll_offset.y == 0)


async def test_a_router_is_read_again_by_a_key_and_one_without_trails_shows_its_curve() -> None:
    store = learned_store(outcomes=9)
    store.put_router("similarity", "0" * 12, "{}")
    async with shown(store, size=LARGE) as (_, pilot):
        await press(pilot, "4", "l", "l")
        await reads(pilot, "9 of the newest scored answers are counted", f"{PARAMETERS}@9")
        add_outcome(store, 10)
        await press(pilot, "r")
        await reads(pilot, "9 of the newest scored answers are counted", "1 not counted", f"{PARAMETERS}@10")
        await press(pilot, "h", "h", "j")
        await reads(pilot, "This router keeps no trails", "mean quality, 0 to 1", "0" * 12)


async def test_what_cannot_be_read_is_told_and_what_comes_too_late_is_not_shown() -> None:
    async with shown(learned(), size=LARGE) as (app, pilot):
        await press(pilot, "4")
        await reads(pilot, "Trails at")
        screen, router = app.screen, app.screen._learned
        screen.post_message(TrailsRead(router, 0, reason="too late"))
        screen.post_message(RouterRead("another", reason="too late"))
        screen.post_message(TrailsRead(router, router.newest_in_reach, reason="no state \x1b[2J"))
        assert "too late" not in await reads(pilot, r"no state \x1b[2J")
        await press(pilot, "l", "l")
        await reads(pilot, "ECE")
        screen.post_message(PredictionsRead(0, reason="too late"))
        screen.post_message(RoutersRead(0, {}))
        screen.post_message(PredictionsRead(1, reason="the file is gone"))
        assert "too late" not in await reads(pilot, "the file is gone", "pheromone")
        screen.post_message(PredictionsRead(1, newest_predictions(learned())))
        await reads(pilot, "ECE")
        screen.post_message(RouterRead(screen.query_one(Rows).key, reason="the table is gone"))
        await reads(pilot, "the table is gone")
        await press(pilot, "p")
        assert "the table is gone" in text_of(app)
