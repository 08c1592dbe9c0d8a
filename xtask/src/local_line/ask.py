"""Asks a MongoDB server for the chores. Answers in JSON on standard output; errors end it with 1 and one line.

    ask.py ready SECONDS [REPLICA_SET]   waits until the server takes writes; initiates the replica set if one is given
    ask.py tables DATABASE ROWS          every table with its number of rows and the first ROWS of them
    ask.py all DATABASE COLLECTION       every document of a collection, by key and ordinal

The connection string comes on standard input as one line, because other users see arguments.
"""

import json
import sys
import time

import pymongo
from pymongo.errors import PyMongoError


def shown(value):
    """Returns what JSON lacks as text: moments in RFC 3339, decimals by their digits."""
    if hasattr(value, "isoformat"):
        return value.isoformat(timespec="milliseconds") + "Z"
    return str(value)


def wait(client, seconds, replica_set):
    deadline = time.monotonic() + float(seconds)
    while True:
        try:
            if client.admin.command("hello").get("isWritablePrimary"):
                return {}
            problem = "it is not a primary"
            if replica_set:
                # Asked again until the server is a primary: "already initialised" and "not yet ready" are both normal.
                client.admin.command("replSetInitiate", json.loads(replica_set))
        except PyMongoError as error:
            problem = str(error).split(", Timeout:")[0]
        if time.monotonic() > deadline:
            sys.exit(f"the database takes no writes after {seconds} s: {problem}")
        time.sleep(0.1)


def tables(database, rows):
    names = sorted(name for name in database.list_collection_names() if not name.startswith("_"))
    return [
        {
            "name": name,
            "count": database[name].count_documents({}),
            "first": list(database[name].find().sort("_id").limit(int(rows))),
        }
        for name in names
    ]


def main(question, *arguments):
    client = pymongo.MongoClient(sys.stdin.readline().strip(), serverSelectionTimeoutMS=2000)
    if question == "ready":
        answer = wait(client, arguments[0], arguments[1] if len(arguments) > 1 else None)
    elif question == "tables":
        answer = tables(client[arguments[0]], arguments[1])
    else:
        answer = list(client[arguments[0]][arguments[1]].find().sort([("key", 1), ("ordinal", 1)]))
    json.dump(answer, sys.stdout, default=shown)


try:
    main(*sys.argv[1:])
except PyMongoError as failure:
    sys.exit(f"the database does not answer: {failure}")
