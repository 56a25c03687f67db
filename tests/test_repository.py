"""What the README and docs say about files, flags, settings and pins is true."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from app.commands import table
from app.flags import build_parser
from app.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^([A-Za-z0-9_.\-]+)(?:\[\w+\])?==\d[\w.]*$")
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")


def readme() -> str:
    return (ROOT / "README.md").read_text()


def tracked(*patterns: str) -> list[str]:
    """Files under version control, by their path from the root."""
    listing = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return listing.stdout.split()


def pins(name: str) -> list[str]:
    """The lines of a requirements file that name a package."""
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("-r ")]


def file_tree(text: str) -> list[str]:
    """Paths of the indented tree in the README's block that starts with ``app.py``.

    A line is ``name  what it is``, indented by two spaces for each folder it lies in; folders end
    with a slash.
    """
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    tree = next((block for block in blocks if block.startswith("app.py")), "")
    paths: list[str] = []
    folders: list[tuple[int, str]] = []
    for line in tree.splitlines():
        if not line.strip():
            continue
        indent, name = len(line) - len(line.lstrip()), line.split()[0]
        folders = [folder for folder in folders if folder[0] < indent]
        path = (folders[-1][1] if folders else "") + name
        paths.append(path)
        if name.endswith("/"):
            folders.append((indent, path))
    return paths


def known_flags() -> set[str]:
    parsers = [build_parser(), *(table.build_parser(name) for name in table.NAMES)]
    actions = [action for parser in parsers for action in parser._actions]
    flags = {option for action in actions for option in action.option_strings}
    return {flag for flag in flags if flag.startswith("--")}


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_requirement_is_an_exact_version_and_explained(name: str) -> None:
    explained = (ROOT / "docs" / "dependencies.md").read_text()
    for line in pins(name):
        match = PIN.match(line)
        assert match, f"{name}: {line!r} is not an exact version"
        assert f"| {match[1]} |" in explained, f"docs/dependencies.md does not explain {match[1]}"


def test_dependencies_page_names_nothing_that_is_gone() -> None:
    rows = re.findall(r"^\| ([\w.\-]+) \|", (ROOT / "docs" / "dependencies.md").read_text(), re.M)
    pinned = {re.split(r"\[|==", line)[0] for name in REQUIREMENTS for line in pins(name)}
    assert set(rows) - {"package"} == pinned


def test_file_tree_reader() -> None:
    text = "```\napp.py  starts\napp/  parts\n  ui/  page\n    page.py  it\ndocs/  x\n```\n"
    assert file_tree(text) == ["app.py", "app/", "app/ui/", "app/ui/page.py", "docs/"]


def test_every_path_in_the_readme_tree_exists() -> None:
    paths = file_tree(readme())
    assert paths, "README.md has no file tree: a block that starts with app.py"
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert not missing


def test_every_module_is_in_the_readme_tree() -> None:
    modules = tracked("app.py", "app/*.py", "llava_core/*.py", "training/*.py")
    expected = {path for path in modules if not path.endswith("__init__.py")}
    expected = {path for path in expected if "/migrations/versions/" not in path}
    assert not expected - set(file_tree(readme()))


def test_every_flag_in_the_readme_exists() -> None:
    used = re.findall(r"app\.py[^\n`|]*", readme())
    flags = {flag for command in used for flag in re.findall(r"--[a-z][a-z-]*", command)}
    assert flags, "README.md shows no command with a flag"
    assert not flags - known_flags()


def test_every_setting_is_in_the_readme_with_its_default() -> None:
    text = readme()
    for name, field in Settings.model_fields.items():
        flag = f"--{name.replace('_', '-')}"
        row = re.search(rf"^\| `{flag}`.*$", text, re.MULTILINE)
        assert row, f"README.md's settings table has no row for {flag}"
        default = field.get_default(call_default_factory=True)
        if default not in ("", []):
            assert f"`{default}`" in row[0], f"the default of {flag} is {default}, not: {row[0]}"


def test_every_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", " ".join(re.findall(r"`[^`]+`", readme()))))
    assert named and not named - targets


def test_links_to_files_lead_somewhere() -> None:
    for name in ["README.md", *tracked("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / name).read_text()):
            assert ((ROOT / name).parent / target).exists(), f"{name} links to {target}"


CHINESE = "README.zh.md"


def commands(text: str) -> list[str]:
    """The lines of all blocks of code but the file tree, without what is said about them."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for each in blocks if not each.startswith("app.py ") for line in each.split("\n")]
    return [line.split("#")[0].rstrip() for line in lines]


def targets(text: str) -> set[str]:
    """Files and places that are linked to; the two READMEs link to each other."""
    found = re.findall(r"\]\(([^)]+)\)", text)
    return {each for each in found if not each.startswith("README") and ".zh." not in each}


def test_the_chinese_readme_says_the_same() -> None:
    english, chinese = readme(), (ROOT / CHINESE).read_text()
    assert f"({CHINESE})" in english and "(README.md)" in chinese
    assert commands(chinese) == commands(english)
    assert targets(chinese) == targets(english)
    row = re.compile(r"^\| `(--[a-z-]+)` \|.*\| ([^|]*)\|$", re.MULTILINE)
    assert row.findall(chinese) == row.findall(english), "settings and their defaults"
    folders = [path for path in file_tree(english) if path.endswith("/")]
    assert [path for path in file_tree(chinese) if path.endswith("/")] == folders
    assert chinese.count("\n## ") == english.count("\n## ")
    assert set(re.findall(r"\d+%", chinese)) == set(re.findall(r"\d+%", english))
