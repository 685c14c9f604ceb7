"""The rules that keep the tree readable, held by reading it: each failure says what to do instead."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "opencram"
MODULES = sorted(PACKAGE.rglob("*.py"))

LAYERS = (
    *("errors", "yamlfile", "zonefile", "terrainfile", "fields", "surroundings", "policy", "position"),
    *("effectors", "tables", "site"),
    *("physics", "asterix", "tracking", "warning", "defence", "stages", "state", "pipeline"),
)
"""The core, in order: each may import itself and what stands before it. Everything else is the shell around it."""

READS_PACKAGE_DATA = {"yamlfile.py", "terrainfile.py", "site.py", "physics/threats.py", "physics/kernel.py"}
"""Core files that may open files: what people wrote (YAML, the sites, terrain), the catalogue, the compiler's cache."""

NOT_IN_CORE = {"os", "io", "time", "socket", "random", "secrets", "uuid", "threading", "asyncio", "subprocess"}
FILES = {"pathlib", "os", "stat", "tempfile", "io", "sys", "importlib"}
CLOCKS = {"now", "utcnow", "today", "time_ns", "monotonic", "perf_counter"}

MAX_FUNCTION_LINES = 70
MAX_FILE_LINES = 500

# Spelt in pieces, so that this file passes its own check.
FORBIDDEN = re.compile(
    "|".join(
        [
            r"/wo" + r"rk/", r"/ro" + r"ot/", r"/ho" + r"me/\w", "TO" + "DO", "FIX" + "ME", "XX" + "X",
            "Chat" + "GPT", "Cla" + "ude", "Anthro" + "pic", "Open" + "AI", "Co" + "pilot",
        ]
    )
)  # fmt: skip


def module_name(path: Path) -> str:
    """`physics/frames.py` -> `physics.frames`; the package's own `__init__` -> ``."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip(".")


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports_in(path: Path) -> Iterator[tuple[ast.AST, str]]:
    """Every import of a file, nested ones too, as dotted absolute names; `from a import b` gives `a.b`."""
    package = ["opencram", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node, f"{stem}.{alias.name}") for alias in node.names)


def own_imports(path: Path) -> Iterator[tuple[ast.AST, str]]:
    """The imports from this package, without the leading `opencram.`."""
    for node, name in imports_in(path):
        if name.startswith("opencram."):
            yield node, name.removeprefix("opencram.")


def layer_of(name: str) -> int | None:
    """Where a module stands in the core, or None in the shell; the package's version stands below everything."""
    top = name.split(".")[0]
    return LAYERS.index(top) if top in LAYERS else -1 if top == "__version__" else None


def functions_in(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def public_definitions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Public functions and classes of a module, and the public methods of public classes."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in tree_of(path).body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (m for m in node.body if isinstance(m, kinds[:2]) and not m.name.startswith("_"))


def is_declaration(node: ast.AST) -> bool:
    """Whether a function has no body of its own: a protocol's member, an overload, a property's setter."""
    body = getattr(node, "body", [])
    only_dots = len(body) == 1 and isinstance(body[0], ast.Expr) and getattr(body[0].value, "value", None) is Ellipsis
    return only_dots or any("setter" in ast.dump(d) for d in getattr(node, "decorator_list", []))


CORE = [path for path in MODULES if (layer_of(module_name(path)) or -1) >= 0]


def report(faults: list[str]) -> None:
    if faults:
        pytest.fail("\n".join(["", *faults]), pytrace=False)


def test_there_is_a_core_to_check() -> None:
    assert {module_name(path).split(".")[0] for path in CORE} >= {"tables", "physics"}


def test_the_core_imports_only_what_stands_before_it() -> None:
    faults = []
    for path in CORE:
        own = layer_of(module_name(path))
        for node, name in own_imports(path):
            other = layer_of(name)
            if other is None or (own is not None and other > own):
                faults.append(
                    f"{where(path, node)} imports {name}; the order is {' <- '.join(LAYERS)}: "
                    "move the shared part down, or hand the value in as an argument"
                )
    report(faults)


def test_stages_never_import_each_other() -> None:
    faults = []
    for path in (PACKAGE / "stages").glob("*.py"):
        for node, name in own_imports(path):
            if name.startswith("stages.") and name.split(".")[1] != path.stem:
                faults.append(
                    f"{where(path, node)} imports {name}; only pipeline.py knows the order: "
                    "pass a table, or move what both need into tracking/ or physics/"
                )
    report(faults)


def test_the_command_line_is_imported_by_nobody() -> None:
    faults = [
        f"{where(path, node)} imports the command line; move what is needed out of cli.py"
        for path in MODULES
        if path.name != "__main__.py"
        for node, name in own_imports(path)
        if name.split(".")[0] == "cli"
    ]
    report(faults)


def test_the_world_does_not_know_the_tracker() -> None:
    faults = [
        f"{where(path, node)} imports {name}; the simulated world may use tables, site and physics only, "
        "so that it stays an independent outside"
        for path in (PACKAGE / "world").glob("*.py")
        for node, name in own_imports(path)
        if name.split(".")[0] in {"tracking", "stages", "state", "pipeline", "drive"}
    ]
    report(faults)


def test_the_core_has_no_clock_no_files_and_no_chance() -> None:
    faults = []
    for path in CORE:
        forbidden = NOT_IN_CORE | FILES
        if str(path.relative_to(PACKAGE)) in READS_PACKAGE_DATA:
            forbidden -= FILES
        for node, name in imports_in(path):
            if name.split(".")[0] in forbidden or name.startswith("numpy.random"):
                faults.append(
                    f"{where(path, node)} imports {name}; the core is handed its inputs, time and randomness: "
                    "take them as arguments, and fetch them in drive/, record/ or outputs/"
                )
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
                faults.append(f"{where(path, node)} reads a clock (.{node.func.attr}()); use the step's now_ns")
            if isinstance(node, ast.Attribute) and node.attr == "random":
                faults.append(f"{where(path, node)} draws random numbers; only world/ may, from its one constructor")
    report(faults)


def test_random_generators_are_made_in_one_place() -> None:
    makers = {"default_rng", "Generator", "SeedSequence", "RandomState"}
    calls = [
        (path, call)
        for path in MODULES
        for call in ast.walk(tree_of(path))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in makers
    ]
    homes = sorted({module_name(path) for path, _ in calls})
    faults = [
        f"{where(path, call)} makes a random generator; take one from the world's one constructor ({', '.join(homes)})"
        for path, call in calls
        if len(homes) > 1 or not homes[0].startswith("world.")
    ]
    report(faults)


def test_functions_are_short() -> None:
    report(
        [
            f"{where(path, f)} {f.name} has {f.end_lineno - f.lineno + 1} lines, at most {MAX_FUNCTION_LINES}: "
            "give a part of it a name of its own"
            for path in MODULES
            for f in functions_in(path)
            if f.end_lineno is not None and f.end_lineno - f.lineno + 1 > MAX_FUNCTION_LINES
        ]
    )


def test_files_are_short() -> None:
    counted = [(path, len(path.read_text(encoding="utf-8").splitlines())) for path in MODULES]
    report(
        [
            f"{path.relative_to(ROOT)} has {lines} lines, at most {MAX_FILE_LINES}: split it by what it does"
            for path, lines in counted
            if lines > MAX_FILE_LINES
        ]
    )


def test_public_names_have_docstrings() -> None:
    report(
        [
            f"{where(path, node)} {node.name} has no docstring: say what it gives, in which units and frame"
            for path in MODULES
            for node in public_definitions(path)
            if not is_declaration(node) and ast.get_docstring(node) is None
        ]
    )


def test_modules_have_docstrings() -> None:
    report(
        [
            f"{path.relative_to(ROOT)} has no docstring: say in one sentence what it is for"
            for path in MODULES
            if path.read_text(encoding="utf-8").strip() and ast.get_docstring(tree_of(path)) is None
        ]
    )


def test_sets_are_never_iterated() -> None:
    """The order of a set of text changes from process to process; what it reaches would not repeat."""
    report(
        [
            f"{where(path, loop.iter)} iterates a set; wrap it in sorted()"
            for path in MODULES
            for loop in ast.walk(tree_of(path))
            if isinstance(loop, ast.For | ast.comprehension) and is_set(loop.iter)
        ]
    )


def is_set(node: ast.AST) -> bool:
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"set", "frozenset"}
    return isinstance(node, ast.Set | ast.SetComp) or named


def test_nothing_is_printed_outside_the_terminal() -> None:
    report(
        [
            f"{where(path, node)} calls print(); hand the text back, or print it in terminal.py"
            for path in MODULES
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        ]
    )


def tracked_texts() -> list[tuple[str, str]]:
    """Every text file under version control (or in the tree, where there is no git), with its content."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\0") if listed.returncode == 0 else [str(p.relative_to(ROOT)) for p in MODULES]
    texts = []
    for name in filter(None, names):
        try:
            texts.append((name, (ROOT / name).read_text(encoding="utf-8")))
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
    return texts


def test_no_machine_paths_and_no_unfinished_work() -> None:
    faults = []
    for name, text in tracked_texts():
        for number, line in enumerate(text.splitlines(), 1):
            if found := FORBIDDEN.search(line):
                faults.append(
                    f"{name}:{number} holds '{found[0]}': the product speaks of itself alone; finish or drop it"
                )
    report(faults)
