# SPDX-License-Identifier: Apache-2.0
"""What the suites with Kafka's own programs share: Apache Kafka as a broker, its tools, and a list of checks.

TARGET=kafka runs a suite against Apache Kafka instead of $OTTLA: what fails there expects something Kafka does not do.
"""
import contextlib
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
KAFKA = str(ROOT / "tests/kafka/kafka.sh")
TARGET = os.environ.get("TARGET", "ottla")
TOOL_LIMIT_SECONDS = 180
LEADER_LIMIT_SECONDS = 60
NO_LEADER = (3, 5, 6)

os.environ.setdefault("OTTLA", "")
sys.path.insert(0, str(ROOT / "tests/integration"))
import harness  # noqa: E402  (needs the path above)


class ApacheKafka(harness.Broker):
    """Apache Kafka with the face of harness.Broker; a directory that was formatted before is used as it is."""

    READY = re.compile(r"Transition from STARTING to STARTED")
    INTERRUPTED = 143  # how a Java program ends at SIGTERM

    def __init__(self, *overrides, directory=None):
        super().__init__(*overrides, directory=directory)
        self.port = harness.free_port(following=1)  # the controller listens behind the broker
        self.address = f"127.0.0.1:{self.port}"

    def command(self):
        return [KAFKA, "start", self.directory, str(self.port), *self.overrides]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(harness.STOP_LIMIT_SECONDS)
        self.reader.join()
        self.process = None
        assert code == self.INTERRUPTED, f"Apache Kafka ended with {code}:\n" + "".join(self.lines[-40:])


def target(*overrides, directory=None):
    """The broker under test, not yet started."""
    if TARGET == "ottla" and not os.environ["OTTLA"]:
        sys.exit("OTTLA is not set: run this through ./dev test suites, or with TARGET=kafka")
    return {"ottla": harness.Broker, "kafka": ApacheKafka}[TARGET](*overrides, directory=directory)


def install():
    """Java, Maven and Apache Kafka's jars; whoever lacks one of them and cannot get it fails here."""
    if subprocess.run([KAFKA, "install"], stdin=subprocess.DEVNULL).returncode != 0:
        sys.exit("this suite needs Java, Maven and Apache Kafka's jars; the lines above say which of them is missing")


class Tools:
    """Kafka's command line tools in one Java machine (Tools.java), which is started when one is needed."""

    def __init__(self):
        self.process = None

    def run(self, words, limit):
        """(exit code, what it printed)."""
        if self.process is None:
            self.process = subprocess.Popen([KAFKA, "serve-tools"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        parts = [word.encode() for word in words]
        late = threading.Timer(limit, self.process.kill)
        late.start()
        try:
            request = struct.pack(">i", len(parts)) + b"".join(struct.pack(">i", len(part)) + part for part in parts)
            self.process.stdin.write(request)
            self.process.stdin.flush()
            code, size = struct.unpack(">ii", self.process.stdout.read(8))
            return code, self.process.stdout.read(size).decode(errors="replace")
        except (OSError, struct.error) as problem:
            self.process.kill()
            self.process.wait()
            self.process = None
            raise AssertionError(f"{words[0]} took the Java machine with it, or longer than {limit} s") from problem
        finally:
            late.cancel()


TOOLS = Tools()


def tool(name, *arguments, stdin="", check=True, limit=TOOL_LIMIT_SECONDS):
    """Runs one of Kafka's command line tools, a main class, and returns what it printed (both streams)."""
    code, printed = TOOLS.run([name, *map(str, arguments), stdin], limit)
    if check and code != 0:
        raise AssertionError(f"{name} {' '.join(map(str, arguments))} ended with {code}:\n{printed}")
    return printed


def equal(expected, actual, what):
    assert expected == actual, f"{what}: expected {expected!r}, got {actual!r}"


def until(condition, what):
    """Asks again until it is so."""
    limit = time.monotonic() + LEADER_LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < limit, f"never came: {what}"
        time.sleep(0.05)


def wait_for_leader(wire, topic, partition):
    """Apache Kafka says that it is started, and a topic created, before it leads."""
    until(lambda: wire.list_offset(topic, partition, -1)[0] not in NO_LEADER, f"a leader of {topic}-{partition}")


class Checks:
    """Named checks; one that fails is reported and the rest go on. `summary` is the last line and the exit code."""

    def __init__(self):
        self.passed = 0
        self.failed = []

    @contextlib.contextmanager
    def check(self, name):
        try:
            yield
        except (AssertionError, OSError, ValueError, KeyError, IndexError, subprocess.SubprocessError) as problem:
            self.failed.append(name)
            where = traceback.extract_tb(problem.__traceback__)[-1]
            print(f"FAILED  {name}: {problem} ({os.path.basename(where.filename)}:{where.lineno})", flush=True)
        else:
            self.passed += 1
            print(f"ok      {name}", flush=True)

    def summary(self):
        for name in self.failed:
            print(f"failed: {name}")
        print(f"{self.passed} passed, {len(self.failed)} failed", flush=True)
        return 1 if self.failed else 0
