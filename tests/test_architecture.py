"""Every module can be imported, and imports only what docs/architecture.md allows it to."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("app", "llava_core", "training")

SHARED = (
    "app.battle_protocol",
    "app.errors",
    "app.history",
    "app.http",
    "app.leaderboard_protocol",
    "app.machines",
    "app.access",
    "app.errors",
    "app.history",
    "app.http",
    "app.people",
    "app.pictures",
    "app.ports",
    "app.prompts",
    "app.protocol",
    "app.received",
    "app.queue_place",
    "app.settings",
)
"""The modules of ``app`` that every part of it may import."""

WITHOUT_MODELS = ("torch", "transformers", "accelerate", "bitsandbytes")
DATABASE = ("sqlalchemy", "alembic")
WEB = ("fastapi", "starlette", "uvicorn", "gradio", "httpx")

# package -> the packages and modules of this repository that it may import, besides itself.
# The longest matching entry counts.
ALLOWED: dict[str, tuple[str, ...]] = {
    "llava_core": (),
    "training": ("llava_core",),
    "training.endpoint": (),
    "app": ("app",),
    "app.commands": ("app", "llava_core.preferences"),
    # A judge is asked as teachers and other judges are; training.endpoint stands on its own.
    "app.commands.judge_battles": ("app", "training.endpoint"),
    "app.commands.models": ("app", "llava_core"),
    "app.errors": (),
    "app.http": ("app.errors", "app.protocol", "app.settings"),
    "app.ports": ("app.errors",),
    "app.settings": (),
    "app.protocol": ("app.machines",),
    "app.machines": (),
    "app.received": ("app.protocol",),
    "app.access": ("app.errors", "app.settings"),
    "app.history": ("app.protocol",),
    "app.people": ("app.access", "app.protocol"),
    "app.queue_place": ("app.protocol",),
    "app.battle_protocol": ("app.protocol",),
    "app.leaderboard_protocol": ("app.protocol", "app.battle_protocol"),
    "app.prompts": (),
    "app.pictures": ("app.errors", "app.settings", "llava_core.errors", "llava_core.images"),
    "app.worker": (*SHARED, "llava_core"),
    "app.controller": (*SHARED, "app.db", "app.ratings", "llava_core.images", "llava_core.errors"),
    "app.db": SHARED,
    "app.ratings": (*SHARED, "app.db"),
    "app.ui": SHARED,
}

# package -> third-party packages that it must not import.
FORBIDDEN: dict[str, tuple[str, ...]] = {
    "llava_core": (*WEB, *DATABASE),
    "training": (*WEB, *DATABASE),
    "app.worker": DATABASE,
    "app.controller": WITHOUT_MODELS,
    "app.db": WITHOUT_MODELS,
    "app.ratings": WITHOUT_MODELS,
    "app.ui": (*WITHOUT_MODELS, *DATABASE),
    "app.errors": WITHOUT_MODELS,
    "app.access": WITHOUT_MODELS,
    "app.history": WITHOUT_MODELS,
    "app.received": WITHOUT_MODELS,
    "app.machines": WITHOUT_MODELS,
    "app.people": WITHOUT_MODELS,
    "app.http": WITHOUT_MODELS,
    "app.ports": WITHOUT_MODELS,
    "app.protocol": WITHOUT_MODELS,
    "app.queue_place": WITHOUT_MODELS,
    "app.settings": WITHOUT_MODELS,
    "app.pictures": WITHOUT_MODELS,
}


def modules() -> dict[str, Path]:
    """Dotted name -> file, of every module of the packages."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = path
    return found


def imports(tree: ast.AST, name: str, is_package: bool) -> Iterator[str]:
    """Dotted names of what a module imports, wherever in the file the import stands."""
    package = name.split(".") if is_package else name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def under(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def rule_for(name: str, rules: dict[str, tuple[str, ...]]) -> tuple[str, tuple[str, ...]]:
    """The entry with the longest name that the module falls under."""
    matching = [entry for entry in rules if under(name, entry)]
    best = max(matching, key=len, default="")
    return best, rules.get(best, ())


def offences(name: str, source: str, is_package: bool = False) -> list[str]:
    """What the module imports and must not."""
    home, allowed = rule_for(name, ALLOWED)
    _, forbidden = rule_for(name, FORBIDDEN)
    wrong = []
    for imported in imports(ast.parse(source), name, is_package):
        ours = any(under(imported, package) for package in (*PACKAGES, "tests"))
        if ours and not any(under(imported, entry) for entry in (home, *allowed)):
            wrong.append(imported)
        if any(under(imported, entry) for entry in forbidden):
            wrong.append(imported)
    return wrong


# Alembic runs its scripts itself, in a context that it sets up.
IMPORTABLE = [name for name in modules() if not under(name, "app.db.migrations")]


@pytest.mark.parametrize("name", IMPORTABLE)
def test_every_module_can_be_imported(name: str) -> None:
    importlib.import_module(name)


@pytest.mark.parametrize("name", modules())
def test_every_module_keeps_the_dependency_rule(name: str) -> None:
    path = modules()[name]
    wrong = offences(name, path.read_text(), path.name == "__init__.py")
    assert not wrong, f"{name} must not import {', '.join(wrong)}"


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("llava_core.model", "from app.settings import Settings", ["app.settings.Settings"]),
        ("llava_core.model", "import fastapi", ["fastapi"]),
        ("training.tiny", "from app import protocol", ["app.protocol"]),
        ("app.ui.chat", "def f():\n    import torch", ["torch"]),
        ("app.ui.chat", "from app.db.store import Store", ["app.db.store.Store"]),
        ("app.ui.chat", "from ..db import store", ["app.db.store"]),
        ("app.controller.api", "from llava_core.model import load", ["llava_core.model.load"]),
        ("app.controller.api", "from app.db.store import Store", []),
        ("app.worker.api", "from llava_core.engine import generate", []),
        ("app.pictures", "from llava_core.model import x", ["llava_core.model.x"]),
    ],
)
def test_the_check_itself_sees_offences(name: str, source: str, expected: list[str]) -> None:
    assert offences(name, source) == expected


@pytest.mark.parametrize("name", ["app.controller.api", "app.ui.page", "app.launch", "app.flags"])
def test_only_the_worker_pays_for_torch(name: str) -> None:
    if name not in modules():
        pytest.fail(f"{name} is gone: name its successor here")
    program = f"import sys, {name}; print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False", f"importing {name} imports torch"
