"""`make mutants`: change the code that warns in one place at a time; do its tests notice?

Each change runs in a fork of one process that has everything imported, up to the first failure. What survives is listed
in docs/explanation/mutants.md with the reason that `scripts/mutants.yaml` gives for it, by function and change.
"""

import ast
import contextlib
import copy
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
CHANGED = ("opencram.policy", "opencram.warning.rules", "opencram.warning.picture", "opencram.warning.words")
STAGE = "opencram.stages.threats_to_warnings"
AGAIN = ("opencram.policy", "opencram.site", *CHANGED[1:], STAGE, "opencram.state")
"""Executed anew in this order behind a change: each takes names from those before it."""
KEPT = ROOT / "runs" / "mutants"
TESTS = [f"tests/test_warnings{part}.py" for part in ("_policy", "", "_reports", "_raids")]
NOT_CHANGED = (ast.JoinedStr, ast.Import, ast.ImportFrom)
IMPORTED_BEFORE = "ignore::pytest.PytestAssertRewriteWarning"
LONGEST_S = 300
SWAPS: dict[type, type] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.BitOr: ast.BitAnd},
    **{ast.BitAnd: ast.BitOr},
}
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "first": "last"}


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    other = copy.deepcopy(node)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        other.ops = [SWAPS[type(node.ops[0])]()]
        yield other
    elif isinstance(node, ast.BoolOp | ast.BinOp | ast.AugAssign) and type(node.op) in SWAPS:
        other.op = SWAPS[type(node.op)]()
        yield other
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert | ast.USub):
        yield other.operand
    elif isinstance(node, ast.IfExp | ast.If):
        other.test = ast.UnaryOp(ast.Not(), other.test)
        yield other
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield ast.Constant(2 * node.value + 1)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield ast.Constant(node.value + "X")
    elif (
        isinstance(node, ast.Name | ast.Attribute) and (name := getattr(node, "id", getattr(node, "attr", ""))) in NAMES
    ):
        setattr(other, "id" if isinstance(node, ast.Name) else "attr", NAMES[name])
        yield other
    if isinstance(node, ast.Assign | ast.AugAssign | ast.Expr | ast.Delete):
        yield ast.Pass()


def mutants(module: str) -> Iterator[tuple[str, str, ast.Module]]:
    """Function, change, and the whole tree with it; docstrings, annotations and what f-strings say are left alone."""
    tree = ast.parse(source(module).read_text("utf-8"))
    for path, where, line, node in _places(tree, (), "", ""):
        for other in changes(node):
            changed = copy.deepcopy(tree)
            _put(changed, path, other)
            text = ast.unparse(node).splitlines()[0]
            new = ast.unparse(ast.fix_missing_locations(copy.deepcopy(other))).splitlines()[0]
            change = f"{text} -> {new}" if line == text else f"{line}: {text} -> {new}"
            yield f"{module.rsplit('.', 1)[1]}.{where}".rstrip("."), change, ast.fix_missing_locations(changed)


def _places(node: ast.AST, path: tuple, where: str, line: str) -> Iterator[tuple[tuple, str, str, ast.AST]]:
    """Each node, the way to it, the function that it stands in, and the first line of its statement."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list") or isinstance(node, NOT_CHANGED):
            continue
        for n, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or (
                isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            ):
                continue
            step = (*path, (name, n if isinstance(value, list) else None))
            inside = f"{where}.{child.name}".strip(".") if isinstance(child, ast.FunctionDef | ast.ClassDef) else where
            its = ast.unparse(child).splitlines()[0] if isinstance(child, ast.stmt) else line
            yield step, inside, its, child
            yield from _places(child, step, inside, its)


def _put(tree: ast.AST, path: tuple, node: ast.AST) -> None:
    *way, (name, n) = path
    for step, k in way:
        tree = getattr(tree, step) if k is None else getattr(tree, step)[k]
    if n is None:
        setattr(tree, name, node)
    else:
        getattr(tree, name)[n] = node


def source(module: str) -> Path:
    """A module's file."""
    return ROOT / "src" / Path(*module.split(".")).with_suffix(".py")


def survives(module: str, tree: ast.Module) -> bool:
    """Whether all tests pass with the change; a fork that takes too long is killed, and so is the change."""
    child = os.fork()
    if child == 0:
        signal.alarm(LONGEST_S)
        os._exit(_run(module, tree))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _run(module: str, tree: ast.Module) -> int:
    options = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", "--hypothesis-seed=0", "-W", IMPORTED_BEFORE]
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        try:
            for name in AGAIN[AGAIN.index(module) :]:
                code = tree if name == module else ast.parse(source(name).read_text("utf-8"))
                names = importlib.import_module(name).__dict__
                for known in [k for k in names if not k.startswith("__")]:
                    del names[known]
                exec(compile(code, str(source(name)), "exec"), names)
            return int(pytest.main([*TESTS, *options]))
        except BaseException:
            return 1


def main() -> None:
    """All changes; then the page."""
    os.chdir(ROOT)
    for name in (*AGAIN, "hypothesis", "opencram.pipeline"):
        importlib.import_module(name)
    if not survives(STAGE, ast.parse(source(STAGE).read_text("utf-8"))):
        sys.exit("the tests fail without any change")
    chosen = [m for m in (*CHANGED, STAGE) if not sys.argv[1:] or any(a in m for a in sys.argv[1:])]
    KEPT.mkdir(parents=True, exist_ok=True)
    for module in chosen:
        alive, n, began = [], 0, time.monotonic()
        for where, change, tree in mutants(module):
            n += 1
            if survives(module, tree):
                alive.append((where, change))
                print(f"survives: {where}: {change}", flush=True)
            if n % 20 == 0:
                print(f"{module}: {n} changes, {time.monotonic() - began:.0f} s", flush=True)
        (KEPT / f"{module}.json").write_text(json.dumps([n, alive]))
    write()


def write() -> None:
    """The page, of what is known of each module: the score, and every survivor with its reason."""
    known = {m: KEPT / f"{m}.json" for m in (*CHANGED, STAGE)}
    found = {m: json.loads(path.read_text()) for m, path in known.items() if path.is_file()}
    counts = {m: (n, len(alive)) for m, (n, alive) in found.items()}
    alive = [(where, change) for _, survivors in found.values() for where, change in survivors]
    reasons = YAML(typ="safe").load(ROOT / "scripts" / "mutants.yaml") or {}
    total, left = (sum(c[n] for c in counts.values()) for n in (0, 1))
    told = [(where, change, reasons.get(where, {}).get(change, "**not explained**")) for where, change in alive]
    left_out = [f"`{m.removeprefix('opencram.')}`" for m in known if m not in found]
    note = f"\nNot measured in this run: {', '.join(left_out)}.\n" if left_out else ""
    lines = [f"| `{m.removeprefix('opencram.')}` | {all_} | {all_ - left_} |" for m, (all_, left_) in counts.items()]
    rows = [
        f"| `{where}` | `{change.replace('|', chr(92) + '|')}` | {why} |" for where, change, why in dict.fromkeys(told)
    ]
    text = HEAD.format(
        total=total,
        killed=total - left,
        share=100 * (total - left) / total,
        note=note,
        lines="\n".join(lines),
        rows="\n".join(rows),
    )
    (ROOT / "docs" / "explanation" / "mutants.md").write_text(text, encoding="utf-8")
    print(
        f"{total - left} of {total} killed; {sum('not explained' in why for *_, why in told)} survivors not explained"
    )


HEAD = """# Would the tests notice?

`make mutants` changes the code that decides about warnings in one place at a time (a comparison, a sign, a constant, a
condition, an assignment left out) and runs its tests on each change. A change that no test notices is a hole in the
tests, or makes no difference; every one is listed here with the reason. Written by the command; the reasons are kept in
`scripts/mutants.yaml`.

**{killed} of {total} changes are noticed ({share:.1f} %).**

| module | changes | noticed |
|---|---|---|
{lines}
{note}
## What survives, and why

| where | change | why no test can tell |
|---|---|---|
{rows}
"""

if __name__ == "__main__":
    main()
