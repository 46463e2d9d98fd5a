"""``agentmesh run`` on a mesh with secrets: the terminal shows them, the database does not."""

APP = """
from agentmesh import Mesh, Secrets
from agentmesh.testing import EchoAgent

mesh = Mesh([EchoAgent()], store="sqlite:///agentmesh.db", secrets=Secrets())
"""


def test_run_prints_the_secret_and_stores_a_placeholder(command, folder):
    (folder / "hiding.py").write_text(APP, encoding="utf-8")
    outcome = command("run", "Mail ann@example.com", "--app", "hiding:mesh")
    assert (outcome.code, outcome.out) == (0, "Mail ann@example.com\n")
    shown = command("runs", "show", outcome.err.split()[1], "--json")
    assert shown.code == 0, shown.err
    assert "[[email-1-" in shown.out
    assert "ann@example.com" not in shown.out
    assert b"ann@example.com" not in b"".join(path.read_bytes() for path in folder.glob("agentmesh.db*"))
