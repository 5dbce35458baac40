"""The template works as a stranger's package would, and CONTRIBUTING.md quotes it faithfully."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
QUOTES = re.findall(
    r"^```(?:python|toml)\n(.*?)^```$", CONTRIBUTING, flags=re.DOTALL | re.MULTILINE
)
SOURCES = (".py", ".toml")


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """Return a copy of the template, outside the project."""
    folder = tmp_path_factory.mktemp("home") / "my-detector"
    shutil.copytree(ROOT / "plugins" / "template", folder)
    return folder


@pytest.fixture(scope="module")
def environment(copied, tmp_path_factory):
    """Install the copy into a folder of its own; return the environment variables to find it."""
    site = tmp_path_factory.mktemp("site-packages")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if importlib.util.find_spec("hatchling") is not None:
        command.append("--no-build-isolation")  # builds without a package registry
    subprocess.run([*command, "--no-deps", "--target", site, copied], check=True)
    return {**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}


def run(*arguments, cwd, env):
    """Run a Python module in a process of its own and return what it prints."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_own_test_passes(copied, environment):
    printed = run("pytest", "-q", "-W", "error", "tests", cwd=copied, env=environment)
    assert " passed" in printed


def test_contributing_quotes_the_template():
    files = [path for path in (ROOT / "plugins" / "template").rglob("*") if path.suffix in SOURCES]
    sources = [path.read_text(encoding="utf-8") for path in files]
    assert len(QUOTES) == 8
    for quote in QUOTES:
        assert any(quote in source for source in sources), quote
