"""The pages beside README keep their word: their links lead somewhere, and their code runs."""

import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
WHOLE = [
    DOCS / name
    for name in (
        "approval.md",
        "choosing.md",
        "decision_models.md",
        "export.md",
        "gnn.md",
        "limits.md",
        "preferences.md",
        "privacy.md",
        "refining.md",
        "replay.md",
        "secrets.md",
        "telemetry.md",
        "workflows.md",
    )
]
"""Pages whose blocks of code are whole programs."""

LINKS = [
    (page, target)
    for page in PAGES
    for target in re.findall(r"\]\((?!http|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
]
BLOCKS = [
    (page, code)
    for page in WHOLE
    for code in re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
]


def shown(value: object) -> str:
    return value.relative_to(DOCS).as_posix() if isinstance(value, Path) else str(value).partition("\n")[0]


@pytest.mark.parametrize(("page", "target"), LINKS, ids=shown)
def test_a_link_leads_to_a_file(page: Path, target: str) -> None:
    assert (page.parent / target).exists()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("page", "code"), BLOCKS, ids=shown)
def test_a_block_of_code_runs_as_printed(page: Path, code: str, tmp_path: Path, warm_python: Any) -> None:
    (tmp_path / "block.py").write_text(code, encoding="utf-8")
    done = warm_python.run(tmp_path / "block.py", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
