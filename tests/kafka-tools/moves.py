# SPDX-License-Identifier: Apache-2.0
"""Partitions that move between two log directories: asked for by Kafka's Admin client, shown by kafka-log-dirs, and
begun by the one broker and finished by the other, in both directions.

A move that Apache Kafka is stopped in (throttled to a trickle) leaves a `-future` folder, and so does one of the broker
under test that is stopped while it copies; after kill -9 `ottla storage close` removes it.
"""
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import classic
import suite
from suite import equal

LOG_DIRS = "org.apache.kafka.tools.LogDirsCommand"
MOVE = str(pathlib.Path(__file__).resolve().parent / "MoveLog.java")
LIMIT_SECONDS = 60
RECORDS = 3_000
LARGE_RECORDS = 400_000
NODE = 1


def directories(broker):
    """The two log.dirs of a broker in its folder."""
    return [broker.data, os.path.join(broker.directory, "other")]


def both(kind, directory, *overrides):
    broker = kind(directory=directory)
    broker.overrides = [f"log.dirs={','.join(directories(broker))}", *overrides]
    return broker


def where(broker, topic):
    """kafka-log-dirs: [(directory, is it a copy, bytes, lag)] of partition 0."""
    printed = suite.tool(LOG_DIRS, "--bootstrap-server", broker.address, "--describe", "--topic-list", topic)
    described = json.loads(next(line for line in printed.splitlines() if line.startswith("{")))
    return [(directory["logDir"], one["isFuture"], one["size"], one["offsetLag"])
            for node in described["brokers"] for directory in node["logDirs"] for one in directory["partitions"]
            if one["partition"] == f"{topic}-0"]


def asking(broker, *words):
    """MoveLog.java, on its way."""
    jars = subprocess.run([suite.KAFKA, "jars"], capture_output=True, text=True, check=True).stdout.strip()
    return subprocess.Popen(["java", "-cp", f"{jars}/*", MOVE, broker.address, str(NODE), *words],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def ask(broker, *words):
    """MoveLog.java: (exit code, what it printed)."""
    with asking(broker, *words) as process:
        printed = process.communicate(timeout=LIMIT_SECONDS)[0]
    return process.returncode, printed.strip()


def move(broker, topic, directory):
    """Admin.alterReplicaLogDirs of partition 0."""
    equal((0, ""), ask(broker, topic, "0", directory), f"a move to {directory}")


def formatted(directory):
    """Apache Kafka refuses a second directory that nobody has formatted; the broker under test formats it."""
    if suite.TARGET != "kafka":
        return
    with suite.ApacheKafka(directory=directory) as kafka:
        kafka.stop()
    first, second = directories(kafka)
    text = pathlib.Path(first, "meta.properties").read_text(encoding="utf-8")
    os.mkdir(second)
    own = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=").replace("-", "A")
    text = re.sub(r"directory\.id=.*", f"directory.id={own}", text)
    pathlib.Path(second, "meta.properties").write_text(text, encoding="utf-8")


def settled(broker, topic, directory):
    """Until the partition is there and nowhere else."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while (found := where(broker, topic)) != [] and time.monotonic() < deadline:
        if len(found) == 1 and found[0][0] == directory:
            return
    raise AssertionError(f"{topic} is in {found}, not in {directory}")


def other_than(broker, topic):
    now = where(broker, topic)[0][0]
    return next(directory for directory in directories(broker) if directory != now)


def copies(broker):
    return [name for directory in directories(broker) for name in os.listdir(directory) if name.endswith("-future")]


def fill(broker, topic, records=RECORDS):
    suite.tool(classic.PERFORMANCE, "--bootstrap-server", broker.address, "--topic", topic, "--num-records", records,
               "--record-size", 500, "--throughput", -1, "--command-property", "acks=1")


def holds(broker, topic, records):
    equal(records, classic.offsets(broker, "--topic", topic)[(topic, 0)], f"end of {topic}")
    classic.consume(broker, topic, 0, min(records, RECORDS))


def while_it_runs(checks, directory):
    """A move and its way back, a stop and Apache Kafka on what they left."""
    formatted(directory)
    broker = both(suite.target().__class__, directory)
    broker.start()
    classic.topics(broker, "--create", "--topic", "moved", "--partitions", "1")
    with checks.check("Admin.alterReplicaLogDirs moves a partition, kafka-log-dirs shows it there"):
        fill(broker, "moved")
        before = where(broker, "moved")
        equal((False, 0), (before[0][1], before[0][3]), "a log that does not move")
        target = other_than(broker, "moved")
        move(broker, "moved", target)
        settled(broker, "moved", target)
        equal(before[0][2], where(broker, "moved")[0][2], "bytes after the move")
        holds(broker, "moved", RECORDS)
    refusals(checks, broker, target)
    with checks.check("and after a start and under Apache Kafka it is still there"):
        broker.restart("stop")
        settled(broker, "moved", target)
        broker.stop()
        with both(suite.ApacheKafka, directory) as kafka:
            settled(kafka, "moved", target)
            holds(kafka, "moved", RECORDS)
            kafka.stop()


def refusals(checks, broker, now):
    with checks.check("what cannot be moved is refused as by Apache Kafka, a move to where the log is does nothing"):
        nowhere = os.path.join(broker.directory, "nowhere")
        equal((1, "LogDirNotFoundException"), ask(broker, "moved", "0", nowhere), "a directory that is not served")
        equal((1, "UnknownTopicOrPartitionException"), ask(broker, "absent", "0", now), "a topic that is not there")
        equal((1, "UnknownTopicOrPartitionException"), ask(broker, "moved", "7", now), "a partition that is not there")
        equal((1, "LogDirNotFoundException"), ask(broker, "absent", "0", nowhere), "neither is there")
        move(broker, "moved", now)
        equal([now], [one[0] for one in where(broker, "moved")], "the place of a log that is there already")
    with checks.check("Admin.describeLogDirs says how large each directory's disk is"):
        lines = [line.split() for line in ask(broker)[1].splitlines()]
        equal(sorted(directories(broker)), sorted(line[0] for line in lines), "directories")
        for path, total, usable in lines:
            equal(shutil.disk_usage(path).total, int(total), f"bytes of the disk of {path}")
            assert 0 < int(usable) <= shutil.disk_usage(path).total, f"usable bytes of {path}: {usable}"


def begun_by_kafka(checks, directory):
    with both(suite.ApacheKafka, directory) as kafka:
        classic.topics(kafka, "--create", "--topic", "begun", "--partitions", "1")
        fill(kafka, "begun")
        suite.tool(classic.CONFIGS, "--bootstrap-server", kafka.address, "--alter", "--entity-type", "brokers",
                   "--entity-name", NODE, "--add-config", "replica.alter.log.dirs.io.max.bytes.per.second=1")
        target = other_than(kafka, "begun")
        move(kafka, "begun", target)
        kafka.stop()
        left = copies(kafka)
    with checks.check("a move that Apache Kafka was stopped in is finished by the broker under test"):
        equal(1, len(left), f"copies that Apache Kafka left ({left})")
        broker = both(suite.target().__class__, directory)
        broker.start()
        settled(broker, "begun", target)
        equal([], copies(broker), "copies that are left")
        holds(broker, "begun", RECORDS)
        broker.stop()


def finished_by_kafka(checks, directory):
    """The copy of much takes long enough for a stop in its middle."""
    broker = both(suite.target().__class__, directory)
    broker.start()
    classic.topics(broker, "--create", "--topic", "large", "--partitions", "1")
    fill(broker, "large", LARGE_RECORDS)
    target = other_than(broker, "large")
    move(broker, "large", target)
    broker.stop()
    with checks.check("a move that the broker was stopped in is finished by Apache Kafka"):
        equal(1, len(copies(broker)), "copies that the broker left")
        with both(suite.ApacheKafka, directory) as kafka:
            suite.tool(classic.CONFIGS, "--bootstrap-server", kafka.address, "--alter", "--entity-type", "brokers",
                       "--entity-name", NODE, "--delete-config", "replica.alter.log.dirs.io.max.bytes.per.second",
                       check=False)
            settled(kafka, "large", target)
            holds(kafka, "large", LARGE_RECORDS)
            kafka.stop()
        equal([], copies(broker), "copies that are left")


def killed_in_its_middle(checks, directory):
    """Nothing of the copy is left for Apache Kafka, and the log is where it was."""
    broker = both(suite.target().__class__, directory)
    broker.start()
    before = where(broker, "large")[0][0]
    with asking(broker, "large", "0", other_than(broker, "large")) as process:
        suite.until(lambda: copies(broker), "a copy")
        broker.kill()
        process.kill()
    with checks.check("after kill -9 in a move and `ottla storage close` Apache Kafka has every record"):
        equal(1, len(copies(broker)), "copies that the broker left")
        done = subprocess.run([os.environ["OTTLA"], "storage", "close", *directories(broker)], capture_output=True,
                              text=True, timeout=LIMIT_SECONDS)
        equal(0, done.returncode, f"exit code of storage close ({done.stderr})")
        equal([], copies(broker), "copies that are left")
        with both(suite.ApacheKafka, directory) as kafka:
            settled(kafka, "large", before)
            holds(kafka, "large", LARGE_RECORDS)
            kafka.stop()


def run(checks):
    with tempfile.TemporaryDirectory(prefix="ottla-moves-") as directory:
        while_it_runs(checks, directory)
        begun_by_kafka(checks, directory)
        finished_by_kafka(checks, directory)
        if suite.TARGET == "ottla":
            killed_in_its_middle(checks, directory)
