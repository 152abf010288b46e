"""The rules of the brief that can be read off a file's source."""

from __future__ import annotations

import ast

# Loops that do not look like one. NumPy's own sums and products are what is meant to be
# used; these call back into Python once for each element, or run code out of sight.
HIDDEN_LOOPS = {
    *("map", "filter", "reduce", "accumulate", "starmap", "iter", "next", "product"),
    *("vectorize", "frompyfunc", "fromiter", "fromfunction", "piecewise"),
    *("apply_along_axis", "apply_over_axes", "nditer", "nested_iters"),
    *("exec", "eval", "compile", "globals", "locals", "vars", "getattr", "__import__"),
}
REFUSED = {
    ast.While: "a while loop",
    ast.AsyncFor: "an async for loop",
    ast.ListComp: "a list comprehension",
    ast.SetComp: "a set comprehension",
    ast.DictComp: "a dict comprehension",
    ast.GeneratorExp: "a generator expression",
    ast.Yield: "a generator",
    ast.YieldFrom: "a generator",
    ast.Await: "an await",
    ast.Lambda: "a lambda",
    ast.ClassDef: "a class",
    ast.AsyncFunctionDef: "an async function",
}


def nodes(tree, kind):
    """All nodes of a kind."""
    return [node for node in ast.walk(tree) if isinstance(node, kind)]


def broken(source, loops):
    """What in the source breaks a rule, in words; an empty list is good.

    One function without helpers and without its own name in it cannot recurse, and
    leaves nothing to hand to whatever else might call a function again and again.
    """
    tree = ast.parse(source)
    found = [words for kind, words in REFUSED.items() for _ in nodes(tree, kind)]

    statements = len(nodes(tree, ast.For))
    if statements > loops:
        found.append(f"{statements} for statements")

    functions = nodes(tree, ast.FunctionDef)
    if len(functions) != 1 or functions[0] not in tree.body:
        found.append("not one function at the top")
    if any(each.decorator_list for each in functions):
        found.append("a decorator")

    names = [node.id for node in nodes(tree, ast.Name)]
    attributes = [node.attr for node in nodes(tree, ast.Attribute)]
    found += [f"calls itself: {each.name}" for each in functions if each.name in names]
    found += sorted(f"a hidden loop: {each}" for each in HIDDEN_LOOPS & {*names, *attributes})
    found += ["np.convolve" for each in names + attributes if each == "convolve"]

    imports = [ast.unparse(node) for node in nodes(tree, (ast.Import, ast.ImportFrom))]
    if imports != ["import numpy as np"]:
        found.append(f"imports {imports}")
    return found


def undocumented(source):
    """The module, classes and functions in the source that have no docstring."""
    tree = ast.parse(source)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [
        getattr(node, "name", "the module")
        for node in [tree, *nodes(tree, kinds)]
        if not (ast.get_docstring(node) or "").strip()
    ]


def signature(source):
    """The functions of a source as they are called: 'pool(images, mode='max')'."""
    functions = nodes(ast.parse(source), ast.FunctionDef)
    return [f"{each.name}({ast.unparse(each.args)})" for each in functions]


def badly_framed(content):
    """What is wrong with the first line or the last of a file's bytes."""
    found = []
    if content.split(b"\n")[0] != b"#!/usr/bin/env python3":
        found.append("first line")
    if not content.endswith(b"\n") or content.endswith(b"\n\n"):
        found.append("final newline")
    if b"\r" in content or b"\t" in content:
        found.append("carriage return or tab")
    return found
