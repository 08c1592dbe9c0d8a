"""Seconds of `flatfire load` for a file that is new, the same again, or changed: what `cargo xtask bench loads` runs.

    bench_loads.py FLATFIRE MONGODB_URI [ROWS]

Makes Observations, the same ones at every run. Inserts the documents of a first load again by the Python driver, into a
collection with the same indexes: the most that this server takes. Then loads the same file under another name, one with a
tenth of the resources changed, one with all changed, and 2,000 files of one resource each. Each answer is checked by the
counts in the database. Databases of its own are dropped.
"""

import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter

import pymongo
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from bench_indexes import seconds_of, with_database
from bench_rows import observation

SMALL_FILES = 2_000
REPEATED = 3


def write_input(path, rows, is_changed):
    chance = random.Random(1)
    with open(path, "w") as file:
        for number in range(rows):
            resource = observation(number, chance)
            changed = is_changed(number)
            resource["meta"] = {"lastUpdated": f"2026-0{2 if changed else 1}-01T00:00:00Z"}
            resource["status"] = "amended" if changed else "final"
            file.write(json.dumps(resource, separators=(",", ":")) + "\n")


def insert_again(client, source, threads):
    """Returns the seconds in which the driver inserts what stands in a table."""
    raw = CodecOptions(document_class=RawBSONDocument)
    documents = list(source.with_options(codec_options=raw).find())
    client.drop_database("flatfire_bench_ceiling")
    majority = pymongo.WriteConcern("majority")
    table = client["flatfire_bench_ceiling"].get_collection("Observation", write_concern=majority)
    for name, index in source.index_information().items():
        if name != "_id_":
            table.create_index(index["key"], name=name)
    batches, lock = iter([documents[at : at + 1000] for at in range(0, len(documents), 1000)]), threading.Lock()

    def insert():
        while True:
            with lock:
                batch = next(batches, None)
            if batch is None:
                return
            table.insert_many(batch, ordered=False)

    workers = [threading.Thread(target=insert) for _ in range(threads)]
    began = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.monotonic() - began


def main():
    program, uri = sys.argv[1:3]
    rows = int(sys.argv[3]) if len(sys.argv) > 3 else 55_000
    client = pymongo.MongoClient(uri)
    databases = [f"flatfire_bench_{number}" for number in range(REPEATED)] + ["flatfire_bench_small"]
    for name in databases:
        client.drop_database(name)

    def load(database, *sources):
        command = [program, "load", "--tables", "automatic", *sources, "--to", with_database(uri, database)]
        return seconds_of(command)

    def statuses(database):
        found = client[database]["Observation"].find({}, {"_id": 0, "status": 1})
        return Counter(row["status"] for row in found)

    with tempfile.TemporaryDirectory(prefix="flatfire-bench-") as folder:
        changes = {
            "first": lambda number: False,
            "again": lambda number: False,
            "tenth": lambda number: number % 10 == 0,
            "all": lambda number: True,
        }
        files = {name: f"{folder}/{name}.ndjson" for name in changes}
        for name, is_changed in changes.items():
            write_input(files[name], rows, is_changed)
        small = f"{folder}/small"
        os.mkdir(small)
        with open(files["first"]) as lines:
            for number, line in zip(range(SMALL_FILES), lines):
                with open(f"{small}/{number:05}.json", "w") as file:
                    file.write(line)
        first = min(load(name, files["first"]) for name in databases[:REPEATED])
        assert statuses(databases[0]) == {"final": rows}
        ceiling = min(insert_again(client, client[databases[0]]["Observation"], threads) for threads in (1, 2, 4))
        again = load(databases[0], files["again"])
        assert statuses(databases[0]) == {"final": rows}
        tenth = load(databases[1], files["tenth"])
        changed = len(range(0, rows, 10))
        assert statuses(databases[1]) == {"final": rows - changed, "amended": changed}
        everything = load(databases[2], files["all"])
        assert statuses(databases[2]) == {"amended": rows}
        of_small = load("flatfire_bench_small", small)
        assert sum(statuses("flatfire_bench_small").values()) == SMALL_FILES
    print(f"{rows:,} Observations, {os.cpu_count()} cores\n| load | seconds | first load = 1 |\n|---|---|---|")
    for name, seconds in [
        ("the first", first),
        ("the same documents by the driver alone", ceiling),
        ("the same again", again),
        ("a tenth changed", tenth),
        ("all changed", everything),
    ]:
        print(f"| {name} | {seconds:.2f} | {seconds / first:.2f} |")
    print(f"{SMALL_FILES:,} files of one resource: {of_small:.2f} s, {SMALL_FILES / of_small:,.0f} files a second")
    for name in [*databases, "flatfire_bench_ceiling"]:
        client.drop_database(name)


if __name__ == "__main__":
    main()
