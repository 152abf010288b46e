"""The page's geometry, arithmetic and links need no browser: Node runs their own tests."""

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

NODE = shutil.which("node")
TESTS = sorted(Path(__file__).parent.glob("node/*.test.js"))


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """The page's modules and their tests in a folder where Node takes both for modules."""
    if NODE is None:
        pytest.skip("THE PAGE'S MODULES ARE NOT RUN ALONE: no node here; apt-get install nodejs")
    folder = tmp_path_factory.mktemp("modules")
    (folder / "package.json").write_text('{"type": "module"}')
    for module in resources.files("convlens.explorer").iterdir():
        if module.name.endswith(".js"):
            (folder / module.name).write_text(module.read_text("utf-8"), "utf-8")
    shutil.copytree(Path(__file__).parent / "node", folder / "node")
    return folder


@pytest.mark.parametrize("name", [test.name for test in TESTS])
def test_in_node(modules, name):
    """Every test of the file passes."""
    command = [NODE, "--test", "--test-reporter=tap", f"node/{name}"]
    done = subprocess.run(command, cwd=modules, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"^# pass (\d+)$", done.stdout, re.M)[1]) >= 5
