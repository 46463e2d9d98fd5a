"""What ``agentmesh doctor`` does about the database: looks for damage, and repairs what can be."""

from agentmesh.addresses import without_password
from agentmesh.cli.output import print_json, print_text
from agentmesh.errors import EmptyStoreError


def database(url: str) -> str:
    """Open the database and look for damage; one that is not there yet is no fault."""
    from agentmesh.store import open_store
    from agentmesh.store.opening import is_new

    shown = without_password(url)
    if is_new(url):
        return f"{shown}: not there yet; the first run makes it"
    try:
        store = open_store(url, read_only=True)
    except EmptyStoreError:
        return f"{shown}: no tables yet; the first run makes them"
    with store:
        damage = store.check()
        if damage:
            raise RuntimeError(f"{shown} is damaged: {'; '.join(damage)}")
        return f"{shown}: {store.count_runs()} runs, no damage found"


def print_repair(url: str, *, as_json: bool) -> int:
    """Repair the database, say what was done and what is left, and return 0 when nothing is."""
    from agentmesh.store.repair import repair

    repaired = repair(url)
    is_clean = not repaired.left
    if as_json:
        print_json({"ok": is_clean, "done": repaired.done, "left": repaired.left})
    else:
        for line in repaired.done:
            print_text(line)
        for line in repaired.left:
            print_text(f"BROKEN\t{line}")
        print_text(f"{without_password(url)}: {'no damage found' if is_clean else 'damaged'}")
    return 0 if is_clean else 1
