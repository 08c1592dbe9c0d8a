"""A database and a local cloud that containers can reach: both listen at the address of the engine's bridge network."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import boto3
import pymongo
from botocore.config import Config
from pymongo.errors import PyMongoError

HERE = pathlib.Path(__file__).resolve().parent
REGION = "us-east-1"
# Not secrets: the local cloud knows no others.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "000000000000", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": REGION}
READY_WITHIN = 60


def end_all_on_sigterm():
    """Lets the script end by an exception when it is asked to stop, so that what it started ends too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))


def docker(*arguments, check=True):
    """Runs the engine's client and returns what it prints."""
    ended = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if check and ended.returncode != 0:
        sys.exit(f"docker {arguments[0]} failed: {ended.stderr.strip()}")
    return ended.stdout.strip()


def engine_answers():
    try:
        return subprocess.run(["docker", "version"], capture_output=True, check=False, timeout=30).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def bridge_address():
    """Returns the address at which containers of the default network reach this machine."""
    address = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")
    return address or "172.17.0.1"


def free_port(address):
    with socket.socket() as listener:
        listener.bind((address, 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(command, log, environment):
    """Runs a server, and ends it with everything that it started."""
    with open(log, "wb") as output:
        server = subprocess.Popen(
            command, env=environment, cwd=log.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )
    try:
        yield server
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(10)
                break


def wait_until(is_ready, server, what, log):
    deadline = time.monotonic() + READY_WITHIN
    while not is_ready():
        if server.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"{what} does not answer:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.2)


@contextlib.contextmanager
def database(directory, address):
    """Starts a `mongod` of one member; gives the connection string."""
    mongod = os.environ.get("FLATFIRE_MONGOD") or str(pathlib.Path(sys.executable).parent / "mongod")
    port, log, data = free_port(address), directory / "mongod.log", directory / "mongod"
    data.mkdir()
    uri = f"mongodb://{address}:{port}/?directConnection=true"
    command = [mongod, "--bind_ip", address, "--nounixsocket", "--port", str(port), "--replSet", "flatfire"]
    command += ["--dbpath", str(data), "--wiredTigerCacheSizeGB", "0.5"]
    member = {"_id": "flatfire", "members": [{"_id": 0, "host": f"{address}:{port}"}]}

    def is_primary():
        try:
            with pymongo.MongoClient(uri, serverSelectionTimeoutMS=500) as client:
                if client.admin.command("hello").get("isWritablePrimary"):
                    return True
                client.admin.command("replSetInitiate", member)
        except PyMongoError:
            pass
        return False

    with running(command, log, {"PATH": os.environ["PATH"], "HOME": str(directory)}) as server:
        wait_until(is_primary, server, "mongod", log)
        yield uri


@contextlib.contextmanager
def cloud(directory, address):
    """Starts the local cloud; gives its endpoint."""
    port, log = free_port(address), directory / "cloud.log"
    endpoint = f"http://{address}:{port}"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "MINISTACK_HOST": address,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": CREDENTIALS["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        "AWS_ENDPOINT_URL": endpoint,
        "AUTH": "true",
        "LOG_LEVEL": "INFO",
    }

    def answers():
        try:
            return urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=2).status == 200
        except OSError:
            return False

    command = [sys.executable, str(HERE / "serve_cloud.py"), str(port), address]
    with running(command, log, environment) as server:
        wait_until(answers, server, "the local cloud", log)
        yield endpoint


def client(service, endpoint):
    """Returns a client of a service of the local cloud."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3}),
    )
