"""Places that may not be written. Root may write anywhere, so a child process becomes somebody else when root tests."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from agentmesh.store import open_store
from agentmesh.testing.traces import whole

OPEN_AS_SOMEBODY = """
import os, sys
from agentmesh.errors import StoreError
from agentmesh.store import open_store
open_store("sqlite:///" + sys.argv[3]).close()  # loads everything while it may be read
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    with open_store("sqlite:///" + sys.argv[1], read_only=sys.argv[2] == "read only") as store:
        print("runs:", store.count_runs())
except StoreError as error:
    print("StoreError:", error)
"""


@pytest.fixture
def folder():
    """Make a folder that everybody can reach; the folders of tmp_path are their owner's alone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    folder.chmod(0o777)
    shutil.rmtree(folder)


@pytest.fixture
def made(folder):
    path = folder / "mesh.db"
    with open_store(f"sqlite:///{path}") as store:
        store.append(whole("r"))
    path.chmod(0o644 if os.geteuid() == 0 else 0o444)
    return path


@pytest.fixture
def open_as_somebody(tmp_path, warm_python):
    program = tmp_path / "open.py"
    program.write_text(OPEN_AS_SOMEBODY, encoding="utf-8")

    def run(path, how):
        done = warm_python.run(program, path, how, tmp_path / "own.db", folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.strip()

    return run


def test_a_folder_that_may_not_be_written_is_named_and_stays_empty(folder, open_as_somebody):
    folder.chmod(0o555)
    said = open_as_somebody(folder / "mesh.db", "write")
    assert said.startswith("StoreError")
    assert f"{str(folder)!r} may not be written" in said
    assert list(folder.iterdir()) == []


def test_a_file_that_may_not_be_written_is_named(made, open_as_somebody):
    said = open_as_somebody(made, "write")
    assert said.startswith("StoreError")
    assert f"{str(made)!r} may not be written" in said


def test_a_file_that_may_not_be_written_can_be_read(made, open_as_somebody):
    assert open_as_somebody(made, "read only") == "runs: 1"


def test_a_folder_that_may_not_be_written_can_be_read(made, folder, open_as_somebody):
    folder.chmod(0o555)
    assert open_as_somebody(made, "read only") == "runs: 1"
    assert list(folder.iterdir()) == [made]


def test_a_file_that_may_not_be_read_is_named(made, open_as_somebody):
    made.chmod(0o000)
    said = open_as_somebody(made, "read only")
    assert said.startswith("StoreError")
    assert str(made) in said
