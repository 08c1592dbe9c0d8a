"""Seconds of `flatfire load` without indexes and with them: what `cargo xtask bench indexes` runs.

    bench_indexes.py FLATFIRE MONGODB_URI [ROWS]

Makes Observations, the same ones at every run, 50 a patient and spread over the file. Loads them with `--indexes none` and
with `--indexes keys` into databases of its own, which it drops. Then it asks for the rows of up to 1,000 patients by
`subject_key` and asserts that the database looks at hardly more documents than it returns. At last `flatfire index` builds
the indexes of the table that has none.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time

import pymongo

from bench_rows import observation

ROWS_OF_A_PATIENT = 50
PATIENTS_ASKED_FOR = 1_000
# Of a hundred documents that are returned, one more may be looked at.
MOST_EXAMINED = 1.01


def patient(number):
    return f"Patient/fc200fa2-12c9-4276-ba4a-{number:012}"


def write_input(path, rows):
    chance, patients = random.Random(1), max(rows // ROWS_OF_A_PATIENT, 1)
    with open(path, "w") as file:
        for number in range(rows):
            resource = observation(number, chance) | {"subject": {"reference": patient(number % patients)}}
            file.write(json.dumps(resource, separators=(",", ":")) + "\n")
    return patients


def with_database(uri, name):
    scheme, rest = uri.split("://")
    place, _, options = rest.partition("?")
    return f"{scheme}://{place.split('/')[0]}/{name}?{options}"


def seconds_of(command):
    began = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def ask(table, patients):
    """Returns how many documents were looked at, how many were returned, and the seconds that it took to read them."""
    examined, returned, seconds = 0, 0, 0.0
    for number in patients:
        cursor = table.find({"subject_key": patient(number)})
        stats = cursor.explain()["executionStats"]
        examined, returned = examined + stats["totalDocsExamined"], returned + stats["nReturned"]
        began = time.monotonic()
        found = list(table.find({"subject_key": patient(number)}))
        seconds += time.monotonic() - began
        assert len(found) == stats["nReturned"] > 0, (len(found), stats["nReturned"])
    return examined, returned, seconds


def size(table):
    stats = table.database.command("collStats", table.name)
    return stats["storageSize"] / 1e6, stats["totalIndexSize"] / 1e6, len(stats["indexSizes"])


def main():
    program, uri = sys.argv[1:3]
    rows = int(sys.argv[3]) if len(sys.argv) > 3 else 2_000_000
    client = pymongo.MongoClient(uri)
    with tempfile.TemporaryDirectory(prefix="flatfire-bench-") as folder:
        source = f"{folder}/observations.ndjson"
        patients = write_input(source, rows)
        megabytes = os.path.getsize(source) / 1e6
        print(f"{rows:,} Observations of {patients:,} patients, {megabytes:.0f} MB, {os.cpu_count()} cores", flush=True)
        print("| indexes | seconds | rows a second | table, MB | indexes, MB | indexes |\n|---|---|---|---|---|---|")
        tables = {}
        for choice in ("none", "keys"):
            name = f"flatfire_bench_{choice}"
            client.drop_database(name)
            load = [program, "load", "--tables", "automatic", "--indexes", choice]
            seconds = seconds_of([*load, "--to", with_database(uri, name), source])
            tables[choice] = table = client[name]["Observation"]
            assert table.estimated_document_count() == rows, table.estimated_document_count()
            stored, of_indexes, number = size(table)
            line = (f"{seconds:.1f}", f"{rows / seconds:,.0f}", f"{stored:.0f}", f"{of_indexes:.0f}", number)
            print(f"| {choice} |", " | ".join(map(str, line)), "|", flush=True)
    step = max(patients // PATIENTS_ASKED_FOR, 1)
    asked = range(0, patients, step)[:PATIENTS_ASKED_FOR]
    examined, returned, seconds = ask(tables["keys"], asked)
    print(f"{len(asked):,} patients by subject_key: {examined:,} looked at, {returned:,} returned, {seconds:.2f} s")
    assert examined <= MOST_EXAMINED * returned, (examined, returned)
    examined, returned, seconds = ask(tables["none"], asked[:1])
    print(f"1 patient without an index: {examined:,} looked at, {returned:,} returned, {seconds:.2f} s", flush=True)
    seconds = seconds_of([program, "index", "--to", with_database(uri, "flatfire_bench_none")])
    print(f"flatfire index on the table without indexes: {seconds:.1f} s")
    examined, returned, _ = ask(tables["none"], asked[:10])
    assert examined <= MOST_EXAMINED * returned, (examined, returned)
    for table in tables.values():
        client.drop_database(table.database.name)


if __name__ == "__main__":
    main()
