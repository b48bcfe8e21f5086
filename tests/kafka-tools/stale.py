# SPDX-License-Identifier: Apache-2.0
"""A journal that lies in a directory to which Apache Kafka has written since: it must never be replayed over that."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import load
import suite
from suite import equal
from wire import Wire

TOPIC = "stale"
BATCHES = 200
LIMIT_SECONDS = 60


def write(broker, name):
    wire = Wire(broker.port)
    for number in range(BATCHES):
        equal(0, wire.produce(TOPIC, load.MAKERS[number % 6].batch(b"%s %d" % (name, number)))[0], "answer to a write")
    wire.close()


def stored(broker):
    wire = Wire(broker.port)
    found = list(load.read(wire, TOPIC, 0))
    wire.close()
    return found


def segments(data):
    return {str(path): path.read_bytes() for path in sorted(pathlib.Path(data).glob(f"{TOPIC}-0/*.log"))}


def journals(data):
    return sorted(path for path in pathlib.Path(data).iterdir() if path.name.startswith(".ottla-"))


def killed(directory, saved):
    """A broker writes and is killed; its journals are kept beside, then the directory is closed."""
    with suite.target(directory=directory) as broker:
        wire = Wire(broker.port)
        wire.create_topic(TOPIC, 1, {"segment.bytes": "1048576"})
        wire.close()
        write(broker, b"before")
        broker.kill()
        assert any("journal" in path.name for path in journals(broker.data)), "there is no journal"
        for path in journals(broker.data):
            shutil.copy2(path, saved)
        done = subprocess.run([os.environ["OTTLA"], "storage", "close", broker.data], capture_output=True, text=True)
        equal(0, done.returncode, f"exit code of storage close ({done.stderr})")


def start_refused(directory, data):
    """The broker under test neither starts nor touches a segment; what it says names the folder or a file of ours."""
    before = segments(data)
    done = subprocess.run(suite.target(directory=directory).command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=LIMIT_SECONDS)
    assert done.returncode > 0, f"it ended with {done.returncode}: {done.stdout}"
    assert f"{TOPIC}-0" in done.stdout or ".ottla-journal" in done.stdout, f"it names no file: {done.stdout}"
    equal(before, segments(data), "the segments")


def run(checks):
    with tempfile.TemporaryDirectory(prefix="ottla-stale-") as directory, tempfile.TemporaryDirectory() as saved:
        data = os.path.join(directory, "data")
        found = []
        with checks.check("a broker is killed, closed, and Apache Kafka writes to its directory"):
            killed(directory, saved)
            with suite.ApacheKafka(directory=directory) as kafka:
                equal(BATCHES, len(stored(kafka)), "batches under Apache Kafka")
                write(kafka, b"since")
                found = stored(kafka)
                kafka.stop()
        for guarded in (False, True):
            with checks.check(f"its old journal is refused by name, {'with' if guarded else 'without'} the guard"):
                for path in pathlib.Path(saved).iterdir():
                    shutil.copy2(path, data)
                if guarded:
                    os.mkdir(os.path.join(data, ".ottla"))
                start_refused(directory, data)
        with checks.check("and without it everything is there"):
            for path in journals(data):
                path.unlink()
            shutil.rmtree(os.path.join(data, ".ottla"), ignore_errors=True)
            with suite.target(directory=directory) as broker:
                equal(found, stored(broker), "batches after Apache Kafka")
                broker.stop()
