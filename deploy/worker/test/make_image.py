"""Builds the worker's image without a registry, to test it: from the last stage of the Dockerfile, with a program that is
built already, on a base image made of this machine's own loader, libraries and certificates.

usage: make_image.py --binary FILE --tag NAME
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

DOCKERFILE = pathlib.Path(__file__).resolve().parents[1] / "Dockerfile"
CERTIFICATES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
BASE_TAG = "flatfire-worker-test-base"
# Where the last stage finds the program that the first one has built.
BUILT = "source/target/release/flatfire"


def libraries(*programs):
    """Returns the files of the loader and of the libraries that programs need, by the paths at which they look."""
    found = set()
    for program in programs:
        listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        found |= set(re.findall(r"(?:=> |^\s*)(/\S+)", listing, re.MULTILINE))
    return sorted(pathlib.Path(path) for path in found)


def directory(name, mode=0o755):
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    return entry


def write_base(path, files):
    """Writes a file system: files at their own paths, certificates, and a directory for temporary files."""
    with tarfile.open(path, "w", dereference=True) as archive:
        archive.addfile(directory("tmp", 0o1777))
        for file in files:
            archive.add(file, arcname=str(file).lstrip("/"))
        if CERTIFICATES.exists():
            archive.add(CERTIFICATES, arcname=str(CERTIFICATES).lstrip("/"))


def docker_build(directory, tag, *arguments):
    command = ["docker", "build", "--quiet", "--tag", tag, *arguments, str(directory)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        sys.exit(f"docker build failed:\n{ended.stdout}{ended.stderr}")


def make_base(tag, files):
    """Builds an image of these files alone."""
    with tempfile.TemporaryDirectory() as context:
        write_base(pathlib.Path(context) / "base.tar", files)
        (pathlib.Path(context) / "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
        docker_build(context, tag)


def last_stage():
    """Returns the Dockerfile with the program in place of the stage that builds it."""
    text = DOCKERFILE.read_text()
    arguments = re.findall(r"^ARG .*$", text, re.MULTILINE)
    stage = text[text.rindex("\nFROM ") :]
    given = "FROM scratch AS build\nCOPY flatfire /" + BUILT
    return "\n".join([*arguments, given, stage])


def make_image(binary, tag):
    make_base(BASE_TAG, libraries(binary))
    with tempfile.TemporaryDirectory() as context:
        shutil.copy(binary, pathlib.Path(context) / "flatfire")
        (pathlib.Path(context) / "Dockerfile").write_text(last_stage())
        docker_build(context, tag, "--build-arg", f"BASE_IMAGE={BASE_TAG}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--tag", required=True)
    arguments = parser.parse_args()
    make_image(arguments.binary.resolve(), arguments.tag)


if __name__ == "__main__":
    main()
