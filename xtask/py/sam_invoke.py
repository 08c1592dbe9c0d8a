"""Runs the function as `sam local invoke` does, with sample events, a database and a local cloud of its own.

It starts both at the address of the engine's bridge network, uploads samples/ into the bucket that the events name, and
invokes the function with each event. For each it prints one JSON line: the event and the answer. Everything that it
starts ends with it.

usage: sam_invoke.py [--function FILE] [--local-base] [--verbose] [--expect FILE] [EVENT...]

EVENT        a file such as events/s3-put-unversioned.json
--function   the built function, or the zip with it; otherwise target/lambda/ingest/bootstrap, then
             .aws-sam/build/IngestFunction/bootstrap
--local-base makes the base image of this machine's own programs, where no registry can be reached
--verbose    shows what SAM and the function print
--expect     a JSON list of event and answer: the first answer that differs ends the script with exit code 1. Without
             events, all of the list are sent. The base image is pulled, or made if it cannot be.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile

from samtranslator.yaml_helper import yaml_parse

from bridge import (
    CREDENTIALS,
    REGION,
    bridge_address,
    client,
    cloud,
    database,
    docker,
    end_all_on_sigterm,
    engine_answers,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUCKET, PREFIX, DATABASE = "flatfire-local", "incoming/", "fhir"
ARCHITECTURE = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
# What SAM pulls for provided.al2023, and what it makes of that.
BASE_TAG = f"public.ecr.aws/lambda/provided:al2023-{ARCHITECTURE}"
EMULATOR_TAG = f"public.ecr.aws/lambda/provided:al2023-rapid-{ARCHITECTURE}"
BUILT = [ROOT / "target/lambda/ingest/bootstrap", ROOT / ".aws-sam/build/IngestFunction/bootstrap"]
# SAM runs these in the base image: it adds its emulator of Lambda.
PROGRAMS = ["/bin/sh", "/bin/mv", "/bin/chmod"]


def make_base(function):
    """Makes the base image of this machine's own programs and libraries."""
    sys.path.insert(0, str(ROOT / "deploy/worker/test"))
    import make_image

    files = [pathlib.Path(program) for program in PROGRAMS]
    make_image.make_base(BASE_TAG, [*files, *make_image.libraries(*PROGRAMS, function)])


def prepare_cloud(endpoint):
    """Makes bucket and queue, uploads the samples, and returns the URL of the queue."""
    s3, sqs = client("s3", endpoint), client("sqs", endpoint)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for file in sorted((ROOT / "samples").iterdir()):
        if file.suffix != ".md":
            s3.put_object(Bucket=BUCKET, Key=PREFIX + file.name, Body=file.read_bytes())
    return sqs.create_queue(QueueName="flatfire")["QueueUrl"]


def write_template(directory, function):
    """Writes the template as `sam build` leaves it: the code is a directory with the built function."""
    code = directory / "code"
    code.mkdir()
    shutil.copy(function, code / "bootstrap")
    template = yaml_parse((ROOT / "template.yaml").read_text())
    properties = template["Resources"]["IngestFunction"]["Properties"]
    properties["CodeUri"] = str(code)
    # SAM takes an unresolved !If for the list of layers, and refuses its name as that of a layer.
    del properties["Layers"]
    path = directory / "template.json"
    path.write_text(json.dumps(template))
    return path


def write_environment(directory, uri, endpoint, queue_url):
    variables = {
        "MONGODB_URI": uri,
        "MONGODB_SECRET_ARN": "",
        "MONGODB_DATABASE": DATABASE,
        "WATCHED_BUCKET": BUCKET,
        "WATCHED_PREFIX": PREFIX,
        "WATCHED_SUFFIX": "",
        "QUEUE_URL": queue_url,
        "LOG_KEYS": "plain",
        "AWS_ENDPOINT_URL": endpoint,
    }
    path = directory / "env.json"
    path.write_text(json.dumps({"IngestFunction": variables}))
    return path


def find_sam():
    installed = ROOT / ".tools/build/bin/sam"
    return str(installed) if installed.exists() else shutil.which("sam") or sys.exit("sam is not installed")


def invoke(directory, arguments, files, event):
    """Invokes the function once and returns its answer."""
    template, environment = files
    command = [find_sam(), "local", "invoke", "IngestFunction", "--event", str(event), "--template", str(template)]
    command += ["--env-vars", str(environment), "--region", REGION]
    command += ["--parameter-overrides", f"Architecture={ARCHITECTURE} BucketName={BUCKET} EndpointUrl=http://local"]
    # It was pulled or made before.
    command += ["--skip-pull-image"]
    # SAM gives the container the credentials of its own environment; the local cloud asks for them.
    surroundings = {**os.environ, **CREDENTIALS, "SAM_CLI_TELEMETRY": "0"}
    ended = subprocess.run(command, cwd=directory, env=surroundings, capture_output=True, text=True, check=False)
    if arguments.verbose:
        sys.stderr.write(ended.stderr)
    lines = ended.stdout.strip().splitlines()
    try:
        return json.loads(lines[-1])
    except (IndexError, ValueError):
        sys.exit(f"{event.name}: sam local invoke gave no answer:\n{ended.stdout}{ended.stderr}")


def invoke_all(directory, arguments, files):
    """Prints the answer to each event; the first that is not as expected ends the script."""
    for event in arguments.event:
        answer = invoke(directory, arguments, files, event.resolve())
        print(json.dumps({"event": event.name, "answer": answer}), flush=True)
        if arguments.expected and answer != arguments.expected[event.name]:
            sys.exit(f"{event.name}: expected {json.dumps(arguments.expected[event.name])}")


def run(arguments, function):
    address = bridge_address()
    with tempfile.TemporaryDirectory(prefix="flatfire-sam-") as name:
        directory = pathlib.Path(name)
        with database(directory, address) as uri, cloud(directory, address) as endpoint:
            queue_url = prepare_cloud(endpoint)
            files = (write_template(directory, function), write_environment(directory, uri, endpoint, queue_url))
            invoke_all(directory, arguments, files)


def read_expected(arguments):
    """Reads the expected answers, and takes their events where none are given."""
    lines = json.loads(arguments.expect.read_text()) if arguments.expect else []
    arguments.expected = {line["event"]: line["answer"] for line in lines}
    arguments.event = arguments.event or [ROOT / "events" / name for name in arguments.expected]
    unknown = [event.name for event in arguments.event if lines and event.name not in arguments.expected]
    if unknown:
        sys.exit(f"{arguments.expect} has no answer to {', '.join(unknown)}")


def is_base_there(arguments):
    """Returns whether the base image is there or can be pulled; where answers are checked, it may be made instead."""
    if docker("images", "--quiet", BASE_TAG):
        return True
    docker("pull", BASE_TAG, check=not arguments.expect)
    return bool(docker("images", "--quiet", BASE_TAG))


def unpacked(function, directory):
    """Returns the function's program: the file itself, or what its zip holds."""
    if function.suffix != ".zip":
        return function
    with zipfile.ZipFile(function) as archive:
        program = pathlib.Path(archive.extract("bootstrap", directory))
    program.chmod(0o755)
    return program


def run_on_base(arguments, function):
    """Runs the function on the image of AWS, or on one that is made and removed again."""
    if not arguments.local_base and is_base_there(arguments):
        return run(arguments, function)
    if docker("images", "--quiet", BASE_TAG):
        sys.exit(f"--local-base would replace the image {BASE_TAG}, which is there")
    try:
        make_base(function)
        run(arguments, function)
    finally:
        # Nobody should take it for the image of AWS.
        docker("rmi", "--force", EMULATOR_TAG, BASE_TAG, check=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("event", type=pathlib.Path, nargs="*", metavar="EVENT")
    parser.add_argument("--expect", type=pathlib.Path)
    parser.add_argument("--function", type=pathlib.Path)
    parser.add_argument("--local-base", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    end_all_on_sigterm()
    read_expected(arguments)
    if not arguments.event:
        parser.error("name an event")
    missing = [str(event) for event in arguments.event if not event.exists()]
    if missing:
        sys.exit(f"no such file: {', '.join(missing)}")
    candidates = [arguments.function] if arguments.function else BUILT
    function = next((one.resolve() for one in candidates if one.exists()), None)
    if not function:
        sys.exit("the function is not built; run: sam build --parameter-overrides Architecture=" + ARCHITECTURE)
    if not engine_answers():
        sys.exit("no container engine answers; `docker version` says why")
    with tempfile.TemporaryDirectory(prefix="flatfire-function-") as name:
        run_on_base(arguments, unpacked(function, name))


if __name__ == "__main__":
    main()
