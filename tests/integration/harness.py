# SPDX-License-Identifier: Apache-2.0
"""A real broker process for tests: started on a free port with a directory of its own, stopped, killed, started again.

Readiness is a line of the broker's log, never a guess in seconds. Whatever the broker wrote is shown when a test fails.
"""
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

OTTLA = os.environ["OTTLA"]
START_LIMIT_SECONDS = 60
STOP_LIMIT_SECONDS = 60


def free_port(following=0):
    """A port that is free with the `following` ones behind it. It lies below the range that the system gives to
    connections: a broker that comes back must find its port as it left it."""
    while True:
        port = random.randrange(10_000, 30_000)
        with contextlib.ExitStack() as probes, contextlib.suppress(OSError):
            for number in range(port, port + following + 1):
                probes.enter_context(socket.socket()).bind(("127.0.0.1", number))
            return port


class Broker:
    """`with Broker() as broker:` runs one; `stop` is SIGTERM and must exit 0, `kill` is SIGKILL."""

    READY = re.compile(r"is ready, serving on")

    def __init__(self, *overrides, directory=None):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.overrides = list(overrides)
        self.own_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="ottla-test-")
        self.data = os.path.join(self.directory, "data")
        self.process = None
        self.lines = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        if self.process is not None:
            self.kill()
        if kind is not None:
            print("---- the broker's log\n" + "".join(self.lines[-60:]))
        if self.own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def command(self):
        words = [OTTLA, "start"]
        for pair in [f"listeners=PLAINTEXT://127.0.0.1:{self.port}", f"log.dirs={self.data}", *self.overrides]:
            words += ["--override", pair]
        return words

    def start(self):
        ready, ended = self.spawn()
        if not ready.wait(START_LIMIT_SECONDS) or ended.is_set():
            raise AssertionError("the broker did not start:\n" + "".join(self.lines[-40:]))

    def spawn(self):
        """Starts it without waiting: two events, for READY (or its end) and for its end alone."""
        if self.process is not None:
            self.kill()  # Left by a check that failed.
        self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        errors="replace", cwd=self.directory)
        ready, ended = threading.Event(), threading.Event()
        self.reader = threading.Thread(target=self._read, args=(self.process, ready, ended), daemon=True)
        self.reader.start()
        return ready, ended

    def _read(self, process, ready, ended):
        """Its log ends when it does: before the line of READY that is an end of the waiting too."""
        for line in process.stdout:
            self.lines.append(line)
            if self.READY.search(line):
                ready.set()
        ended.set()
        ready.set()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_LIMIT_SECONDS)
        self._forget()
        assert code == 0, f"the broker ended with {code}:\n" + "".join(self.lines[-40:])

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._forget()

    def _forget(self):
        self.reader.join()
        self.process.stdout.close()
        self.process = None

    def restart(self, how):
        getattr(self, how)()
        self.start()


def run(*words, stdin=None, check=True, timeout=120):
    """Runs a program and returns its output; its error text is in the failure."""
    done = subprocess.run(words, input=stdin, capture_output=True, timeout=timeout)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done


def cli(broker, *words, stdin=None, check=True):
    return run(OTTLA, *words, "--bootstrap-server", broker.address, stdin=stdin, check=check)
