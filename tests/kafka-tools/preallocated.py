# SPDX-License-Identifier: Apache-2.0
"""preallocate=true: a directory with reserved segments that Apache Kafka leaves, killed or stopped, and takes back."""
import pathlib
import tempfile

import dump
import load
import suite
from suite import equal
from wire import Wire

TOPIC = "reserved"
SEGMENT_BYTES = 1 << 20
SETTINGS = {"preallocate": "true", "segment.bytes": str(SEGMENT_BYTES)}
BATCHES = 150


class Directory:
    """What was written to it so far, and what must be read from it."""

    def __init__(self):
        self.values = []

    def write(self, broker):
        wire = Wire(broker.port)
        for _ in range(BATCHES):
            value = b"%d " % len(self.values) + b"r" * 3000
            error = wire.produce(TOPIC, load.MAKERS[1].batch(value))[0]
            while error in suite.NO_LEADER:  # Apache Kafka fences itself on a machine that is too busy.
                suite.wait_for_leader(wire, TOPIC, 0)
                error = wire.produce(TOPIC, load.MAKERS[1].batch(value))[0]
            equal(0, error, "answer to a write")
            self.values.append(value)
        wire.close()

    def read(self, broker):
        wire = Wire(broker.port)
        suite.wait_for_leader(wire, TOPIC, 0)
        found = [batch for _, _, batch in load.read(wire, TOPIC, 0)]
        wire.close()
        missing = [number for number, value in enumerate(self.values) if value not in found[number]]
        equal([], missing, "batches that are not what was written")
        equal(len(self.values), len(found), "batches")


def logs(broker):
    return sorted(pathlib.Path(broker.data, f"{TOPIC}-0").glob("*.log"))


def data_bytes(path):
    """Up to the end of the last batch, as the lengths of batches say."""
    content, at = path.read_bytes(), 0
    while at + 12 <= len(content) and (length := int.from_bytes(content[at + 8 : at + 12], "big")):
        at += 12 + length
    assert not content[at:].strip(b"\0"), f"{path} has something behind its last batch"
    return at


def is_reserved(broker):
    """The newest segment is as long as it may become, every other one as long as its batches."""
    *closed, active = logs(broker)
    equal(SEGMENT_BYTES, active.stat().st_size, f"size of {active}")
    assert 0 < data_bytes(active) < SEGMENT_BYTES, f"{active} is not partly filled"
    for path in closed:
        equal(data_bytes(path), path.stat().st_size, f"size of {path}")


def is_trimmed(broker):
    for path in logs(broker):
        equal(data_bytes(path), path.stat().st_size, f"size of {path}")
    found = dump.contents(broker.data)[f"{TOPIC}-0"]
    assert found.records and found.next_offset, "DumpLogSegments found nothing"


def reserves(broker, directory):
    """Writes until a segment that the broker itself began is partly filled."""
    before = logs(broker)[-1]
    while logs(broker)[-1] == before:
        directory.write(broker)
    directory.write(broker)
    suite.until(lambda: logs(broker)[-1].stat().st_size == SEGMENT_BYTES, "the new segment is reserved")


def run(checks):
    directory = Directory()
    with tempfile.TemporaryDirectory() as folder:
        with checks.check("Apache Kafka reserves a segment and is killed"), suite.ApacheKafka(directory=folder) as kafka:
            wire = Wire(kafka.port)
            wire.create_topic(TOPIC, 1, SETTINGS)
            suite.wait_for_leader(wire, TOPIC, 0)
            wire.close()
            directory.write(kafka)
            is_reserved(kafka)
            kafka.kill()
        with checks.check("the broker reads what Apache Kafka left, cuts the zeros and reserves its own segment"), \
                suite.target(directory=folder) as broker:
            directory.read(broker)
            reserves(broker, directory)
            broker.kill()
        with checks.check("killed, it reads all of it again and stops cleanly with nothing reserved"), \
                suite.target(directory=folder) as broker:
            directory.read(broker)
            reserves(broker, directory)
            broker.kill()
            broker.start()
            directory.read(broker)
            broker.stop()
            is_trimmed(broker)
        with checks.check("Apache Kafka takes it over, writes, reserves, and stops"), \
                suite.ApacheKafka(directory=folder) as kafka:
            directory.read(kafka)
            reserves(kafka, directory)
            is_reserved(kafka)
            kafka.stop()
            is_trimmed(kafka)
        with checks.check("and so does the broker under test"), suite.target(directory=folder) as broker:
            directory.read(broker)
            reserves(broker, directory)
            broker.stop()
            is_trimmed(broker)
