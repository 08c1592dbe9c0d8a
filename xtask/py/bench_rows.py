"""CPU seconds of `flatfire rows` beside those of DuckDB and of parsing alone: what `cargo xtask bench rows` runs.

    bench_rows.py FLATFIRE PARSE_VALUES [REPETITIONS]

Makes 55,000 Observations, the same ones at every run, asserts that the view's CSV holds what DuckDB's holds, and
prints a table. CPU seconds are those of the whole process, user and system, of all threads; of several runs the fastest
counts. DuckDB and the parser are measured beyond their start.
"""

import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile

OBSERVATIONS = 55_000
CODES = [
    ("8302-2", "Body Height", "cm"),
    ("29463-7", "Body Weight", "kg"),
    ("2339-0", "Glucose [Mass/volume] in Blood", "mg/dL"),
    ("72514-3", "Pain severity - 0-10 verbal numeric rating [Score] - Reported", "{score}"),
    ("6690-2", 'Leukocytes, "all" [#/volume] in Blood', "10*3/uL"),
]
COLUMNS = {
    "id": ("id", "id"),
    "status": ("status", "status"),
    "system": ("code.coding.first().system", "code.coding[1].system"),
    "code": ("code.coding.first().code", "code.coding[1].code"),
    "display": ("code.coding.first().display", "code.coding[1].display"),
    "subject": ("subject.getReferenceKey(Patient)", "subject.reference"),
    "effective": ("effective.ofType(dateTime)", "effectiveDateTime"),
    "amount": ("value.ofType(Quantity).value", "valueQuantity.value"),
    "unit": ("value.ofType(Quantity).unit", "valueQuantity.unit"),
}
TYPES = """{id: 'varchar', status: 'varchar', subject: 'STRUCT(reference varchar)', effectiveDateTime: 'varchar',
    code: 'STRUCT(coding STRUCT(system varchar, code varchar, display varchar)[])',
    valueQuantity: 'STRUCT("value" varchar, unit varchar)'}"""


def observation(number, chance):
    code, display, unit = CODES[number % len(CODES)]
    moment = f"20{chance.randrange(10, 26)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}T04:38:16"
    survey = "http://terminology.hl7.org/CodeSystem/observation-category"
    return {
        "resourceType": "Observation",
        "id": f"9ab8da79-87d8-4e5a-8135-{number:012}",
        "meta": {"versionId": "1", "lastUpdated": "2026-01-01T00:00:00Z"},
        "status": "final",
        "category": [{"coding": [{"system": survey, "code": "vital-signs", "display": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": display}], "text": display},
        "subject": {"reference": f"Patient/fc200fa2-12c9-4276-ba4a-{number // 50:012}"},
        "encounter": {"reference": f"Encounter/0e9fa186-0480-432c-97e2-{number // 10:012}"},
        "effectiveDateTime": f"{moment}+00:00",
        "issued": f"{moment}.610+00:00",
        "valueQuantity": {
            "value": round(chance.uniform(1, 200), chance.randrange(1, 4)),
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        },
    }


def write_input(path):
    chance = random.Random(1)
    with open(path, "w") as file:
        for number in range(OBSERVATIONS):
            file.write(json.dumps(observation(number, chance), separators=(",", ":")) + "\n")


def write_view(folder):
    columns = [{"name": name, "path": path} for name, (path, _) in COLUMNS.items()]
    view = {"resourceType": "ViewDefinition", "name": "observed", "resource": "Observation"}
    os.mkdir(folder)
    with open(f"{folder}/observed.json", "w") as file:
        json.dump(view | {"select": [{"column": columns}]}, file)


def duckdb(source, target):
    columns = ", ".join(f"{path} as {name}" for name, (_, path) in COLUMNS.items())
    query = f"copy (select {columns} from read_ndjson('{source}', columns = {TYPES})) to '{target}' (format csv, header)"
    program = f"import duckdb; c = duckdb.connect(); c.execute('set threads = 1'); c.execute({query!r})"
    return [sys.executable, "-c", program]


def cpu_seconds(command, repetitions):
    best = None
    for _ in range(repetitions):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = spent if best is None else min(best, spent)
    return best


def assert_same_cells(flatfire, source, folder):
    """Compares all rows of the view with DuckDB's, in their order."""
    subprocess.run(duckdb(source, f"{folder}/duckdb.csv"), check=True)
    with open(f"{folder}/flatfire.csv", "w") as file:
        subprocess.run(flatfire, stdout=file, stderr=subprocess.DEVNULL, check=True)
    with open(f"{folder}/duckdb.csv", newline="") as file:
        expected = list(csv.reader(file))
    with open(f"{folder}/flatfire.csv", newline="") as file:
        # Behind the row's `_id`, which DuckDB does not have.
        rows = [row[1:] for row in csv.reader(file)]
    assert len(expected) == OBSERVATIONS + 1, len(expected)
    for row, other in zip(rows, expected, strict=True):
        assert row == other, (row, other)


def assert_every_row(flatfire):
    printed = subprocess.run(flatfire, capture_output=True, check=True, text=True).stdout.splitlines()
    keys = [json.loads(line)["_id"] for line in printed]
    assert len(set(keys)) == len(keys) == OBSERVATIONS, len(keys)


def main():
    program, parse_values = sys.argv[1:3]
    repetitions = int(sys.argv[3]) if len(sys.argv) > 3 else 9
    with tempfile.TemporaryDirectory(prefix="flatfire-bench-") as folder:
        source, views = f"{folder}/observations.ndjson", f"{folder}/views"
        write_input(source)
        write_view(views)
        view = [program, "rows", "--views", views, "--tables", "views", "--format", "csv", source]
        automatic = [program, "rows", "--tables", "automatic", source]
        assert_same_cells(view, source, folder)
        assert_every_row(automatic)
        start = cpu_seconds([sys.executable, "-c", "import duckdb; duckdb.connect()"], repetitions)
        of_duckdb = cpu_seconds(duckdb(source, "/dev/null"), repetitions) - start
        reading = cpu_seconds([parse_values, source, "0"], repetitions)
        of_parser = (cpu_seconds([parse_values, source, "3"], repetitions) - reading) / 3
        lines = [
            ("view as CSV", cpu_seconds(view, repetitions), "DuckDB", of_duckdb),
            ("automatic rows as NDJSON", cpu_seconds(automatic, repetitions), "serde_json::Value", of_parser),
        ]
        megabytes = os.path.getsize(source) / 1e6
        print(f"{OBSERVATIONS:,} Observations, {megabytes:.0f} MB, {os.cpu_count()} cores; CPU seconds")
        print("| flatfire rows | seconds | beside | seconds | ratio |\n|---|---|---|---|---|")
        for name, seconds, other, others in lines:
            print(f"| {name} | {seconds:.3f} | {other} | {others:.3f} | {seconds / others:.2f} |")


if __name__ == "__main__":
    main()
