"""Seconds of `flatfire quality` and `flatfire report` on a large database: what `cargo xtask bench quality` runs.

    bench_quality.py FLATFIRE MONGODB_URI [ROWS] [--keep]

Makes the resources of a hospital, the same ones at every run, with defects of known numbers: 2,000,000 rows in ten tables.
Loads them into a database of its own. Asserts that `flatfire quality` finds exactly these defects and that the report has
the same findings and is complete. Prints the seconds, the CPU seconds of the database (user and system, all threads), and
those of the command. The database is dropped; `--keep` leaves it there, and the next run with as many rows takes it.
"""

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time

import pymongo
from bench_indexes import with_database
from quality_data import TABLES, expected, rows_of, write

DATABASE = "flatfire_bench_quality"
REPEATED = 3


def load(program, uri, rows):
    with tempfile.TemporaryDirectory(prefix="flatfire-bench-") as folder:
        parts = [(f"{folder}/{kind}.ndjson", kind, rows) for kind in TABLES]
        with multiprocessing.Pool() as pool:
            pool.starmap(write, parts, chunksize=1)
        files = [path for path, _, _ in parts]
        megabytes = sum(os.path.getsize(path) for path in files) / 1e6
        print(f"{rows:,} resources, {megabytes:,.0f} MB, {os.cpu_count()} cores", flush=True)
        command = [program, "load", "--tables", "automatic", "--to", uri, *files]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def is_loaded(database, rows):
    return all(database[kind].estimated_document_count() == rows_of(kind, rows) for kind in TABLES)


def cpu_of_server(client):
    info = client.admin.command("serverStatus")["extra_info"]
    return (info["user_time_us"] + info["system_time_us"]) / 1e6


def measure(client, command, codes):
    """Returns what a command prints, and its seconds: wall, CPU of the server, CPU of the command."""
    before, began, server = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), cpu_of_server(client)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wall, server = time.monotonic() - began, cpu_of_server(client) - server
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode in codes, (done.returncode, done.stderr)
    own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, (wall, server, own)


def counts(findings):
    return {(found["check"], found["table"], found["column"]): found["count"] for found in findings}


def assert_same(found, seeded):
    wrong = {place: count for place, count in found.items() if seeded.get(place) != count}
    missed = {place: count for place, count in seeded.items() if found.get(place) != count}
    assert not wrong and not missed, f"found {wrong}, seeded {missed}"


def main():
    keep = "--keep" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--keep"]
    program, server = arguments[:2]
    rows = int(arguments[2]) if len(arguments) > 2 else 2_000_000
    client = pymongo.MongoClient(server)
    uri, database = with_database(server, DATABASE), client[DATABASE]
    if not (keep and is_loaded(database, rows)):
        client.drop_database(DATABASE)
        load(program, uri, rows)
        assert is_loaded(database, rows)
    seeded = expected(rows)
    print(f"{len(seeded)} places with {sum(seeded.values()):,} seeded defects", flush=True)
    print("| command | seconds | CPU of the database | CPU of the command |\n|---|---|---|---|", flush=True)
    for _ in range(REPEATED):
        printed, seconds = measure(client, [program, "quality", "--json", "--to", uri], {2})
        assert_same(counts(map(json.loads, printed.splitlines())), seeded)
        print("| flatfire quality |", " | ".join(f"{number:.1f}" for number in seconds), "|", flush=True)
        printed, seconds = measure(client, [program, "report", "--json", "--to", uri], {0})
        report = json.loads(printed)
        print("| flatfire report |", " | ".join(f"{number:.1f}" for number in seconds), "|", flush=True)
        assert report["unchecked"] == [], f"not checked to the end: {report['unchecked']}"
        assert_same(counts(report["findings"]), seeded)
    if not keep:
        client.drop_database(DATABASE)


if __name__ == "__main__":
    main()
