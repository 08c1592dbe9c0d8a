"""Runs the worker's image against a database and a local cloud of its own.

It builds the image as deploy/worker/test/make_image.py does, and looks whether the container runs as nobody, loads an
object, and loses nothing when it is stopped, or killed, in the middle of a load. It prints one line for each, and ends
with exit code 1 and a message at the first failure. Everything that it starts ends with it. Without a container engine it
says so and does nothing.

usage: worker_container.py --binary FILE [--records N]

--binary  the built program `flatfire`
--records the records of the object in whose load the worker is stopped, and of another one for the kill (200000)
"""

import argparse
import contextlib
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import uuid

import pymongo

from bridge import CREDENTIALS, bridge_address, client, cloud, database, docker, end_all_on_sigterm, engine_answers

ROOT = pathlib.Path(__file__).resolve().parents[2]
TAG = "flatfire-worker-test"
BUCKET, PREFIX, DATABASE = "flatfire-worker-test", "incoming/", "fhir"
NOBODY = "65534"
STOP_SECONDS = 120
# A message of a worker that was killed comes again so soon; loads that take longer are kept by the heartbeat.
HIDDEN_SECONDS = 12


def check(condition, message):
    if not condition:
        sys.exit(f"the worker's container: {message}")


def wait_for(what, ask, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.2)
    sys.exit(f"the worker's container: {what} did not happen within {seconds} s")


class Bench:
    """The servers, and the bucket whose notifications go to the queue."""

    def __init__(self, uri, endpoint):
        self.uri, self.endpoint = uri, endpoint
        self.tables = pymongo.MongoClient(uri)[DATABASE]
        self.s3, self.sqs = client("s3", endpoint), client("sqs", endpoint)
        self.s3.create_bucket(Bucket=BUCKET)
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        self.queue_url = self.sqs.create_queue(QueueName="large-objects")["QueueUrl"]
        self.announce()

    def announce(self):
        """Lets the bucket send its notifications to the queue."""
        names = {"QueueUrl": self.queue_url, "AttributeNames": ["QueueArn"]}
        queue = self.sqs.get_queue_attributes(**names)["Attributes"]["QueueArn"]
        statement = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": queue}]}
        self.sqs.set_queue_attributes(QueueUrl=self.queue_url, Attributes={"Policy": json.dumps(policy)})
        notification = {"QueueArn": queue, "Events": ["s3:ObjectCreated:*"]}
        self.s3.put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": [notification]}
        )

    def upload(self, name, data):
        self.s3.put_object(Bucket=BUCKET, Key=PREFIX + name, Body=data)
        return PREFIX + name

    def load(self, key):
        return self.tables["_loads"].find_one({"key": key}) or {}

    def wait_until_done(self, key, seconds):
        load = wait_for(f"the load of {key}", lambda: self.ended(key), seconds)
        check(load["status"] == "done", f"{key} ended as {load['status']}")
        return load

    def ended(self, key):
        load = self.load(key)
        return load if load.get("status", "running") != "running" else None

    def messages(self):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)


def start_worker(bench, cleanup):
    """Starts a container as in production: no writable file system but /tmp, no rights of the system."""
    name = f"flatfire-worker-{uuid.uuid4().hex[:8]}"
    variables = {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": bench.endpoint,
        "QUEUE_URL": bench.queue_url,
        "MONGODB_URI": bench.uri,
        "MONGODB_DATABASE": DATABASE,
        "WATCHED_BUCKET": BUCKET,
        "WATCHED_PREFIX": PREFIX,
        "LOG_KEYS": "plain",
        "STACK_NAME": "flatfire-worker-test",
    }
    given = [part for key, value in variables.items() for part in ("--env", f"{key}={value}")]
    restrictions = ["--read-only", "--tmpfs", "/tmp:mode=1777", "--cap-drop", "ALL"]
    cleanup.callback(docker, "rm", "--force", name, check=False)
    docker("run", "--detach", "--name", name, *restrictions, *given, TAG, "--concurrency", "2", "--hidden", str(HIDDEN_SECONDS))
    return name


def stop(name):
    docker("stop", "--time", str(STOP_SECONDS), name)
    check(exit_code(name) == "0", f"it ended with {exit_code(name)} when it was stopped")


def exit_code(name):
    return docker("inspect", "--format", "{{.State.ExitCode}}", name)


def log_lines(name):
    """Returns the lines of the log; each must be a JSON object."""
    text = subprocess.run(["docker", "logs", name], capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in text.splitlines()]


def patients(count, prefix):
    """Returns a compressed file: the local cloud ignores ranges of a version, by which a plain one would go on."""
    lines = (
        json.dumps({"resourceType": "Patient", "id": f"{prefix}-{number}", "birthDate": "1980-01-01", "active": True})
        for number in range(count)
    )
    return gzip.compress("\n".join(lines).encode(), compresslevel=1)


def see_version():
    version = docker("run", "--rm", "--entrypoint", "/usr/local/bin/flatfire", TAG, "--version")
    check(version.startswith("flatfire "), f"it says {version!r} as its version")
    print(f"ok       image: {version}")


def see_user(name):
    users = {line.split()[1] for line in docker("top", name, "-eo", "pid,uid").splitlines()[1:]}
    check(users == {NOBODY}, f"it runs as the users {users}")
    print("ok       runs as nobody")


def load_one_object(bench, name):
    key = bench.upload("patient-bundle.json", (ROOT / "samples/patient-bundle.json").read_bytes())
    bench.wait_until_done(key, 60)
    # The log is written behind the ledger.
    handled = wait_for("a line of the log", lambda: [one for one in log_lines(name) if "rows" in one], 10)
    check(len(handled) == 1, f"it says {len(handled)} times that an object was handled")
    metrics = [line for line in log_lines(name) if "_aws" in line]
    check([line["Files"] for line in metrics] == [1], "its metrics do not count one file")
    print(f"ok       loaded one object with {handled[0]['rows']} rows")


def interrupt(bench, cleanup, name, how, count):
    """Ends a worker in the middle of a load, and starts another one, which goes on."""
    before = bench.tables["Patient"].count_documents({})
    key = bench.upload(f"{how}.ndjson.gz", patients(count, how))
    wait_for("a first row", lambda: bench.tables["Patient"].count_documents({}) > before, 120)
    if how == "stop":
        stop(name)
    else:
        docker("kill", name)
    check(bench.load(key).get("status") == "running", f"the load was over before the {how}; use more --records")
    there = bench.tables["Patient"].count_documents({}) - before
    began = time.monotonic()
    next_name = start_worker(bench, cleanup)
    bench.wait_until_done(key, 900)
    seconds = time.monotonic() - began
    wait_for("an empty queue", lambda: bench.messages() == 0, 60)
    rows = bench.tables["Patient"].count_documents({}) - before
    check(rows == count, f"there are {rows} rows of {count} records")
    print(f"ok       {how}: {there} of {count} rows stood; the next worker brought the rest within {seconds:.0f} s")
    return next_name


def try_worker(bench, arguments):
    with contextlib.ExitStack() as cleanup:
        name = start_worker(bench, cleanup)
        see_user(name)
        load_one_object(bench, name)
        for how in ("stop", "kill"):
            name = interrupt(bench, cleanup, name, how, arguments.records)
        # Last, because the local cloud still hands a message to a request that waits for one and was broken off.
        began = time.monotonic()
        stop(name)
        print(f"ok       idle, it stopped within {time.monotonic() - began:.1f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--records", type=int, default=200_000)
    arguments = parser.parse_args()
    end_all_on_sigterm()
    if not engine_answers():
        print("NOT RUN, because no container engine answers: the worker's container")
        return
    sys.path.insert(0, str(ROOT / "deploy/worker/test"))
    import make_image

    make_image.make_image(arguments.binary.resolve(), TAG)
    see_version()
    address = bridge_address()
    with tempfile.TemporaryDirectory(prefix="flatfire-worker-") as name:
        directory = pathlib.Path(name)
        with database(directory, address) as uri, cloud(directory, address) as endpoint:
            try_worker(Bench(uri, endpoint), arguments)


if __name__ == "__main__":
    main()
