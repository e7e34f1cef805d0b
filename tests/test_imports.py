"""Imports point one way, and heavy libraries stay out until they are needed."""

import ast
import pathlib
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "skpopsteer"
LAYERS = [
    {"_version", "_whole_file"},
    {"_blas", "_compat", "_compiled", "_callbacks", "_spans", "_text_table"},
    {"_item_features", "_tile_loop"},
    {"_validation"},
    {"_user_strength", "topk", "popularity", "metrics"},
    {"_tiles"},
    {"base"},
    {"_post_hoc", "_profiles"},
    {"_pool"},
    {"adapters", "sae", "neurons", "datasets", "model_selection"},
    {"steering", "rerankers"},
    {"inspection", "persistence"},
]
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
#: `metrics` may use `popularity`, of its own layer.
ALLOWED_SIBLINGS = {("metrics", "popularity")}


def _imported_parts(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name == "skpopsteer" and isinstance(node, ast.ImportFrom):
                yield from (alias.name for alias in node.names)
            elif name.startswith("skpopsteer."):
                yield name.split(".")[1]


def _part(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


MODULES = [p for p in sorted(PACKAGE.rglob("*.py")) if p != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_module_imports_lower_layers_only(path):
    part = _part(path)
    for imported in _imported_parts(path):
        allowed = (
            imported == part
            or LEVEL[imported] < LEVEL[part]
            or (part, imported) in ALLOWED_SIBLINGS
        )
        assert allowed, f"{part} imports {imported}"


def test_every_module_has_a_layer():
    assert {_part(path) for path in MODULES} == set(LEVEL)


def test_a_breach_would_be_seen(tmp_path):
    breach = tmp_path / "breach.py"
    breach.write_text("from skpopsteer.inspection import compare\n")
    assert list(_imported_parts(breach)) == ["inspection"]


@pytest.mark.parametrize("library", ["torch", "implicit", "matplotlib", "numba"])
def test_importing_the_package_does_not_import(library):
    code = f"import sys, skpopsteer; sys.exit({library!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
