# SPDX-License-Identifier: Apache-2.0
"""A compacted topic: cleaned by the broker under test, read by Kafka's tools and by Apache Kafka on its directory."""
import pathlib
import re
import time

import classic
import dump
import load
import suite
from suite import equal
from wire import Wire

TOPIC = "table"
KEYS = 100
ROUNDS = 300
PADDING = "." * 150
CLEANED_LIMIT_SECONDS = 60
# Cleaned whenever a closed segment is dirty, and looked at often.
SETTINGS = ("log.cleaner.backoff.ms=200", "log.cleaner.min.cleanable.ratio=0.01")


def fill(broker, rounds, codec):
    lines = [f"key-{key}\t{number}-{key}{PADDING}" for number in rounds for key in range(KEYS)]
    classic.produce(broker, TOPIC, lines, "--reader-property", "parse.key=true", "--compression-codec", codec)


def table(broker):
    """Everything a consumer finds, at offsets that rise: key -> value."""
    output = suite.tool(classic.CONSUME, "--bootstrap-server", broker.address, "--topic", TOPIC, "--partition", 0,
                        "--offset", "earliest", "--timeout-ms", 6000, "--formatter-property", "print.key=true",
                        "--formatter-property", "print.offset=true", check=False)
    found = [re.fullmatch(r"Offset:(\d+)\t(key-\d+)\t(\S*)", line) for line in output.splitlines()]
    records = [(int(match[1]), match[2], match[3]) for match in found if match]
    equal(sorted(offset for offset, _, _ in records), [offset for offset, _, _ in records], "offsets")
    return {key: value.rstrip(".") for _, key, value in records}


def wanted(last):
    return {f"key-{key}": f"{last}-{key}" for key in range(KEYS)}


def records_left(broker):
    wire = Wire(broker.port)
    count = sum(load.HEADER.unpack_from(batch)[12] for _, _, batch in load.read(wire, TOPIC, 0))
    wire.close()
    return count


def wait_cleaned(broker):
    """Of the three times that everything was written, the closed segments keep little."""
    deadline = time.monotonic() + CLEANED_LIMIT_SECONDS
    while (left := records_left(broker)) >= 2 * ROUNDS * KEYS:
        assert time.monotonic() < deadline, f"{left} records are left"
        time.sleep(0.2)


def run(checks):
    with suite.target(*SETTINGS) as broker:
        with checks.check("a compacted topic is cleaned while it is served"):
            classic.topics(broker, "--create", "--topic", TOPIC, "--config", "cleanup.policy=compact", "--config",
                           f"segment.bytes={classic.SEGMENT_BYTES}")
            for codec in ("none", "lz4", "zstd"):
                fill(broker, range(ROUNDS), codec)
            ends = classic.offsets(broker, "--topic", TOPIC)
            wait_cleaned(broker)
            equal(wanted(ROUNDS - 1), table(broker), "the table")
            equal(ends, classic.offsets(broker, "--topic", TOPIC), "end")
            broker.stop()
        with checks.check("DumpLogSegments reads the cleaned segments and their indexes"):
            folder = pathlib.Path(broker.data, f"{TOPIC}-0")
            dump.dump(dump.files([folder], ".log"), "--deep-iteration")
            for path, lines in dump.dump(dump.files([folder], "index"), "--index-sanity-check").items():
                assert lines[-1].endswith(("passed sanity check.", "is empty.")), f"{path}: {lines}"
            cleaned = dump.partition_offsets(f"{broker.data}/cleaner-offset-checkpoint")
            assert 0 < cleaned[f"{TOPIC}-0"] <= ends[(TOPIC, 0)], f"{cleaned}"
        with checks.check("Apache Kafka reads the same table, and cleans it on from there"):
            with suite.ApacheKafka(*SETTINGS, directory=broker.directory) as kafka:
                equal(wanted(ROUNDS - 1), table(kafka), "the table under Apache Kafka")
                fill(kafka, range(ROUNDS, 2 * ROUNDS), "gzip")
                kafka.stop()
        with checks.check("and the broker under test what Kafka left"):
            broker.start()
            equal(wanted(2 * ROUNDS - 1), table(broker), "the table after Apache Kafka")
            broker.stop()
