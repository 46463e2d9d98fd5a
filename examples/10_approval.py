"""Approval: a call waits for a person, in a database and not in a process, and then the run goes on."""

import asyncio

from agentmesh import Approval, Limits, Mesh, Preference, Run, Task, agent, open_store, replay

DB = "sqlite:///approval.db"


@agent(description="Finds what a supplier has to offer.", price_per_call_usd="0.001")
async def finder(task: Task) -> str:
    """Look it up."""
    return "12 chairs at 80 USD"


@agent(description="Buys chairs and desks for the company.", price_per_call_usd="0.50")
async def buyer(task: Task) -> str:
    """Spend money."""
    return f"done: {task.text}"


def office() -> Mesh:
    """Return the mesh, as each process makes it for itself."""
    return Mesh(
        [finder, buyer],
        store=DB,
        explore=0,
        preferences=[Preference(action="prefer", agents=("buyer",), strength=1)],
        approvals=[Approval(call_usd="0.10", reason="it spends the company's money")],
    )


def told(run: Run) -> str:
    """Say how a run stands."""
    waits = ", ".join(f"{request.agent_id} ({request.reason})" for request in run.waiting_for)
    calls = ", ".join(f"{call.agent_id} {call.status.value}" for call in run.calls)
    return f"{run.status.value} | waits for {waits or 'nobody'} | calls: {calls or 'none'} | {run.answer or run.error}"


async def main() -> None:
    """Ask for three things; approve one, edit one, reject one."""
    async with office() as mesh:
        for name in ("approved", "edited", "rejected"):
            run = await mesh.run("buy three chairs", run_id=name, limits=Limits(fallbacks=1))
            print(f"{name}: {told(run)}")

    async with office() as mesh:  # another day, another process
        print(told(await mesh.approve("approved", by="ann")))
        print(told(await mesh.approve("edited", by="ann", text="buy two chairs")))
        print(told(await mesh.reject("rejected", by="ann", note="we have enough chairs")))

    with open_store(DB, read_only=True) as store:
        same = [(await replay(store, name)).identical for name in ("approved", "edited", "rejected")]
    print(f"replayed: {'identical' if all(same) else same}")


if __name__ == "__main__":
    asyncio.run(main())
