"""``agentmesh doctor``: what is installed, what works, and what to do about the rest."""

import asyncio
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

import click

from agentmesh.addresses import without_password
from agentmesh.cli.doctor_db import database, print_repair
from agentmesh.cli.options import app_option, db_option, json_option
from agentmesh.cli.output import is_terminal, print_json, print_table
from agentmesh.cli.target import load_mesh
from agentmesh.errors import ConfigError
from agentmesh.settings import Settings

if TYPE_CHECKING:
    from agentmesh.mesh import Mesh

DISTRIBUTION = "agentmesh-routing"
SENTENCE = "How long does it take to fly from Berlin to New York?"
TIMED = 50


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``ok`` is False only where something is broken."""

    name: str
    ok: bool
    detail: str


@click.command()
@app_option
@db_option
@click.option("--repair", is_flag=True, help="Put right what can be of the database, and nothing else.")
@json_option
def doctor(app: str | None, db: str | None, repair: bool, as_json: bool) -> int:
    """Check Python, packages, embedder, database, your mesh and the terminal; exit with 1 when something is broken."""
    if repair:
        return print_repair(Settings.load().db if db is None else db, as_json=as_json)
    checks = examine(app, db)
    if as_json:
        print_json({"ok": all(check.ok for check in checks), "checks": [asdict(check) for check in checks]})
    else:
        print_table(
            ("", "what", "found"), [("ok" if check.ok else "BROKEN", check.name, check.detail) for check in checks]
        )
    return 0 if all(check.ok for check in checks) else 1


def examine(app: str | None = None, db: str | None = None) -> Sequence[Check]:
    """Make every check; one that raises is broken, and the others are made all the same."""
    checks = [attempt("python", python_version), *packages(), attempt("settings", settings)]
    if checks[-1].ok:
        found = Settings.load()
        checks.append(attempt(f"embedder {found.embedder}", embedder_speed))
        checks.append(attempt("database", lambda: database(db if db is not None else found.db)))
        name = app if app is not None else found.app
        checks += mesh_checks(name)
    return [*checks, attempt("terminal", terminal)]


def attempt(name: str, look: Callable[[], str]) -> Check:
    """Run one check. It returns what it found, and raises when that is broken."""
    try:
        return Check(name, ok=True, detail=look())
    except Exception as error:  # noqa: BLE001 - whatever is broken is what this command reports
        return Check(name, ok=False, detail=f"{type(error).__name__}: {error}")


def python_version() -> str:
    """Return the interpreter's version and the machine."""
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def packages(lines: Sequence[str] | None = None) -> Iterator[Check]:
    """Check the packages that are needed, and name which extras are complete.

    Args:
        lines: Requirements as the distribution's metadata has them, which is where they come from by default.
    """
    for extra, names in requirements(requires(DISTRIBUTION) or () if lines is None else lines).items():
        found = {name: installed(name) for name in names}
        missing = [name for name, number in found.items() if number is None]
        listed = ", ".join(f"{name} {number}" for name, number in found.items() if number is not None)
        if not extra:
            yield Check("packages", ok=not missing, detail=f"missing: {', '.join(missing)}" if missing else listed)
        elif missing:
            yield Check(f"extra {extra}", ok=True, detail=f"not installed: pip install '{DISTRIBUTION}[{extra}]'")
        else:
            yield Check(f"extra {extra}", ok=True, detail=listed)


def requirements(lines: Sequence[str]) -> dict[str, list[str]]:
    """Sort requirements by the extra that asks for them; ``""`` is the core. Extras for developers are left out.

    >>> requirements(["click>=8.1", "torch>=2.9; extra == 'gnn'", "ruff; extra == 'dev'"])
    {'': ['click'], 'gnn': ['torch']}
    """
    sorted_out: dict[str, list[str]] = {"": []}
    for line in lines:
        name, marker = re.match(r"[\w.-]+", line), re.search(r"extra == ['\"](.+?)['\"]", line)
        extra = marker.group(1) if marker else ""
        if name is not None and extra not in {"all", "dev", "distill"}:
            sorted_out.setdefault(extra, []).append(name.group())
    return sorted_out


def installed(distribution: str) -> str | None:
    """Return the installed version of a distribution, ``None`` when there is none."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def settings() -> str:
    """Return what the environment sets, without keys and passwords."""
    found = Settings.load()
    db, app = without_password(found.db), found.app or "not set"
    return f"AGENTMESH_DB {db}, AGENTMESH_APP {app}, AGENTMESH_EMBEDDER {found.embedder}"


def embedder_speed() -> str:
    """Load the embedder and time a sentence of twelve words."""
    from agentmesh.embed.named import embedder_named

    start = time.perf_counter()
    embedder = embedder_named(None)
    embedder.embed([SENTENCE])
    loaded_s = time.perf_counter() - start
    took_ms = [_timed_ms(lambda: embedder.embed([SENTENCE])) for _ in range(TIMED)]
    typical = statistics.median(took_ms)
    return f"{embedder.version}, {embedder.dimension} numbers, loaded in {loaded_s:.2f} s, {typical:.2f} ms a sentence"


def _timed_ms(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def mesh_checks(name: str | None) -> Iterator[Check]:
    """Load the user's mesh and look for faults of its preferences; none named is no fault."""
    loaded: list[Mesh] = []

    def load() -> str:
        if not name:
            return "none named (--app or AGENTMESH_APP)"
        loaded.append(asyncio.run(load_mesh(name)))
        return f"{name}: {len(loaded[0].cards())} agents, router {loaded[0].router.name}"

    yield attempt("mesh", load)
    if loaded:
        yield attempt("preferences", lambda: preferences(loaded[0]))


def preferences(mesh: "Mesh") -> str:
    """Return the faults of a mesh's preferences; an error among them leaves tasks without any agent."""
    findings = mesh.lint()
    told = "; ".join(f"{one.severity} in {_places(one.rules)}: {one.message}" for one in findings)
    if any(one.severity == "error" for one in findings):
        raise ConfigError(told)
    return told or "no fault found"


def _places(rules: Sequence[int]) -> str:
    return ("rule " if len(rules) == 1 else "rules ") + " and ".join(str(place) for place in rules)


def terminal() -> str:
    """Say whether stdout is a terminal, and how it writes text."""
    kind = "a terminal" if is_terminal(sys.stdout) else "not a terminal: plain text, no bars"
    colour = "NO_COLOR is set" if Settings.load().no_color else "colours allowed"
    return f"{kind}, {sys.stdout.encoding}, {colour}"
