"""Runs every block of code of docs/analysts.md in order and compares its answers with those of expected.py.

    python run.py PAGE

The working directory holds hospital.py; `flatfire` is on the search path; MONGODB_URI names an empty database.
"""

import collections
import contextlib
import decimal
import gzip
import io
import json
import math
import numbers
import pathlib
import re
import subprocess
import sys
import types
import warnings

import pandas as pd

import expected

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$|^### (\d+)\. ", re.MULTILINE | re.DOTALL)
STATEMENT = re.compile(r'db(?:\.(\w+)|\.getCollection\("(\w+)"\))\.(find|aggregate)\((.*)\)', re.DOTALL)


def main(page):
    draw_nothing()
    names, question, answered, statements = {}, 0, set(), 0
    for kind, code, number in BLOCK.findall(page.read_text(encoding="utf-8")):
        if number:
            check(names, question, answered)
            question = int(number)
            continue
        try:
            if kind == "sh":
                subprocess.run(["sh", "-e", "-c", code], check=True)
            elif kind == "python":
                run_python(code, names)
            elif kind == "js":
                compare_statement(code, names["db"], statements)
                statements += 1
            else:
                raise AssertionError(f"nobody runs blocks of {kind}")
        except Exception:
            print(f"question {question}, this block failed:\n{code}", file=sys.stderr)
            raise
    check(names, question, answered)
    assert answered == {0, *expected.ANSWERS}, f"questions without a check: {answered ^ {0, *expected.ANSWERS}}"
    assert statements == len(expected.MONGOSH), f"{statements} statements for mongosh"
    check_files(names)
    print(f"{len(answered) - 1} questions and {statements} statements are answered as expected")


def run_python(code, names):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        exec(compile(code, "docs/analysts.md", "exec"), names)
    assert printed.getvalue().strip(), "the block prints nothing"
    print(printed.getvalue())


def draw_nothing():
    """Stands in for matplotlib: what is to be drawn is looked at, and no display is needed."""

    def plot(data, kind, **_):
        assert kind == "line" and len(data) > 2, f"a plot of {len(data)} points"

    backend = types.ModuleType("draws_nothing")
    backend.plot = plot
    sys.modules["draws_nothing"] = backend
    pd.set_option("plotting.backend", "draws_nothing")


def check(names, question, answered):
    for answer in expected.ANSWERS[question] if question else expected.BEFORE_THE_QUESTIONS:
        found = names[answer.__name__]
        compare(answer.__name__, rows_of(found, expected.COLUMNS.get(answer.__name__)), answer(resources()))
    answered.add(question)


def compare_statement(code, db, number):
    """The arguments of the statement are JSON, so pymongo can run what stands on the page."""
    collection, quoted, method, arguments = STATEMENT.fullmatch(code.strip()).groups()
    found = getattr(db[collection or quoted], method)(*json.loads(f"[{arguments}]"))
    answer, row = expected.MONGOSH[number]
    compare(answer.__name__, [row(document) for document in found], answer(resources()))


def check_files(names):
    """The file for Excel says that it is UTF-8, and the original of the row is the line of the file."""
    assert pathlib.Path("patients.csv").read_bytes().startswith("\ufeff_id,".encode())
    assert json.loads(names["original"])["effectiveInstant"] == "2026-06-03T23:30:00-04:00"


def resources():
    """Returns the resources of the hospital by type, and how many each file has."""
    by_type, files = collections.defaultdict(list), {}
    for path in sorted(pathlib.Path("hospital").iterdir()):
        content = path.read_bytes()
        text = gzip.decompress(content) if path.suffix == ".gz" else content
        lines = [json.loads(line, parse_float=decimal.Decimal) for line in text.decode().splitlines()]
        files[path.name] = len(lines)
        for resource in lines:
            by_type[resource["resourceType"]].append(resource)
    return {**by_type, "files": files}


def rows_of(found, columns):
    if isinstance(found, list):
        return [tuple(row.values()) if isinstance(row, dict) else row for row in found]
    frame = found.to_frame() if isinstance(found, pd.Series) else found
    if columns:
        frame = frame[columns]
    named = [name for name in frame.index.names if name]
    labelled = named or isinstance(found, pd.Series)
    return list((frame.reset_index() if labelled else frame).itertuples(index=False, name=None))


def compare(name, found, wanted):
    found, wanted = (sorted((plain(row) for row in rows), key=repr) for rows in (found, wanted))
    assert wanted, f"{name}: nothing is expected"
    differences = [row for row in found if row not in wanted], [row for row in wanted if row not in found]
    assert found == wanted, f"{name}: found, not expected: {differences[0]}; expected, not found: {differences[1]}"


def plain(value):
    """Returns a value as both sides write it: no NaN, no types of pandas, floats to nine digits."""
    if isinstance(value, (tuple, list)):
        return tuple(plain(part) for part in value)
    if isinstance(value, (set, frozenset)):
        return tuple(sorted((plain(part) for part in value), key=repr))
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (bool, decimal.Decimal, str)):
        return value
    if isinstance(value, numbers.Real):
        return float(f"{float(value):.9g}")
    return pd.Timestamp(value).isoformat()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
