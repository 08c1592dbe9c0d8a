"""Asks a MongoDB server for the chores. Answers in JSON on standard output; errors end it with 1 and one line.

    ask.py ready SECONDS [REPLICA_SET]   waits until the server takes writes; initiates the replica set if one is given

The connection string comes on standard input as one line, because other users see arguments.
"""

import json
import sys
import time

import pymongo
from pymongo.errors import PyMongoError


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


def main(question, *arguments):
    client = pymongo.MongoClient(sys.stdin.readline().strip(), serverSelectionTimeoutMS=2000)
    if question != "ready":
        sys.exit(f"nobody knows the question {question}")
    json.dump(wait(client, arguments[0], arguments[1] if len(arguments) > 1 else None), sys.stdout)


try:
    main(*sys.argv[1:])
except PyMongoError as failure:
    sys.exit(f"the database does not answer: {failure}")
