"""Runs one server and ends it, with everything it started, when its owner goes away.

usage: leash.py (--stdin | --file PATH) -- COMMAND ...

The owner is gone when standard input closes (--stdin: also when the owner was killed) or when PATH no longer
exists (--file: for servers that outlive the command that started them).

Standard output is the server's log. It stays locked as long as anything that was started here runs.
"""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time

POLL_SECONDS = 0.2
GRACE_SECONDS = 5.0


def owner_is_gone(mode, path):
    """Returns an event that is set once the owner is gone."""
    gone = threading.Event()

    def watch_stdin():
        while os.read(0, 4096):
            pass
        gone.set()

    def watch_file():
        while os.path.exists(path):
            time.sleep(POLL_SECONDS)
        gone.set()

    threading.Thread(target=watch_stdin if mode == "--stdin" else watch_file, daemon=True).start()
    return gone


def end(server):
    """Asks the server's whole process group to stop, and insists after the grace period."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            break


def main():
    split = sys.argv.index("--")
    mode, path = sys.argv[1], sys.argv[2] if split > 2 else None
    # An interrupt at the terminal reaches the owner too; the owner decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    fcntl.flock(sys.stdout.fileno(), fcntl.LOCK_EX)
    gone = owner_is_gone(mode, path)
    signal.signal(signal.SIGTERM, lambda *_: gone.set())
    server = subprocess.Popen(sys.argv[split + 1 :], stdin=subprocess.DEVNULL, start_new_session=True)
    while server.poll() is None and not gone.wait(POLL_SECONDS):
        pass
    code = server.poll()
    end(server)
    sys.exit(0 if code is None else code)


if __name__ == "__main__":
    main()
