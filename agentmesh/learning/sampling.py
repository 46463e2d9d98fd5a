"""Which runs a judge is asked about: a draw that comes out the same in every process."""

from hashlib import blake2b

from agentmesh.types import RunId


def is_judged(share: float, *, seed: int, run_id: RunId, judge: str) -> bool:
    """Say whether a run is among the share that a judge is asked about.

    Rule: a hash of seed, run and judge, read as a number from 0 to 1, lies below the share. So a larger share asks
    about the same runs and more, and two judges are asked about different ones.

    Args:
        share: From 0 (none) to 1 (all).
        seed: The mesh's seed.
        run_id: The run.
        judge: The judge's name.

    >>> sum(is_judged(0.25, seed=0, run_id=f"run-{i}", judge="small") for i in range(1000))
    260
    """
    digest = blake2b(f"judged/{seed}/{len(run_id)}/{run_id}/{judge}".encode(errors="surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big") < share * 2**64
