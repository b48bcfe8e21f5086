# SPDX-License-Identifier: Apache-2.0
"""Directories at levels that are not ours: Apache Kafka formats and fills one, the broker under test serves and writes
it and hands it back, and everything is as Kafka left it: levels, settings, users, quotas, access rules, records."""
import re
import subprocess
import tempfile

import classic
import suite

ACLS = "org.apache.kafka.tools.AclCommand"
FEATURES = "org.apache.kafka.tools.FeatureCommand"
# Without principals everybody is ANONYMOUS; Kafka keeps access rules only where an authorizer runs.
AUTHORIZED = ("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
              "super.users=User:ANONYMOUS")
ALTERED = (
    ("--entity-type", "users", "--entity-name", "alice", "--add-config",
     "SCRAM-SHA-256=[iterations=8192,password=secret]"),
    ("--entity-type", "users", "--entity-name", "alice", "--add-config", "SCRAM-SHA-512=[password=secret]"),
    ("--entity-type", "users", "--entity-name", "alice", "--entity-type", "clients", "--entity-name", "app",
     "--add-config", "producer_byte_rate=100000000,consumer_byte_rate=200000000,request_percentage=150.5"),
    ("--entity-type", "users", "--entity-default", "--add-config", "controller_mutation_rate=1000"),
    ("--entity-type", "clients", "--entity-default", "--add-config", "request_percentage=500"),
    ("--entity-type", "ips", "--entity-name", "127.0.0.9", "--add-config", "connection_creation_rate=1000"),
    ("--entity-type", "brokers", "--entity-default", "--add-config", "log.cleaner.threads=2"),
    ("--entity-type", "brokers", "--entity-name", "1", "--add-config", "message.max.bytes=1048576"),
    ("--entity-type", "topics", "--entity-name", "settings", "--add-config", "cleanup.policy=compact,retention.ms=7"),
    ("--entity-type", "client-metrics", "--entity-name", "watch", "--add-config", "interval.ms=60000,metrics=a.b"),
    ("--entity-type", "groups", "--entity-name", "readers", "--add-config", "consumer.heartbeat.interval.ms=6000"),
)
DESCRIBED = (
    ("--entity-type", "users"), ("--entity-type", "users", "--entity-type", "clients"),
    ("--entity-type", "users", "--entity-name", "alice", "--entity-type", "clients", "--entity-name", "app"),
    ("--entity-type", "clients"), ("--entity-type", "ips"), ("--entity-type", "brokers", "--entity-default"),
    ("--entity-type", "brokers", "--entity-name", "1"), ("--entity-type", "topics", "--entity-name", "settings"),
    ("--entity-type", "client-metrics"), ("--entity-type", "groups", "--entity-name", "readers"),
)
GROUP_RECORDS = 500
SEGMENTED = 3_000


def configs(broker, *words):
    return suite.tool(classic.CONFIGS, "--bootstrap-server", broker.address, *words)


def parts(described):
    """Lines and the settings in them, sorted: Kafka prints quotas and credentials in the order of a hash."""
    return sorted(re.split(r"\n|, | are ", described))


def features(broker):
    """Feature -> finalized level, without the epoch, which moves with the log."""
    output = suite.tool(FEATURES, "--bootstrap-server", broker.address, "describe")
    found = dict(re.findall(r"Feature: (\S+)\s.*?FinalizedVersionLevel: (\S+)", output))
    assert "metadata.version" in found, output
    return found


def state(kafka):
    """All that must come back as it was, asked of Apache Kafka."""
    acls = suite.tool(ACLS, "--bootstrap-server", kafka.address, "--list")
    return {"features": features(kafka), "cluster": classic.cluster(kafka), "rules": sorted(acls.split("\n")),
            **{" ".join(words): parts(configs(kafka, "--describe", *words)) for words in DESCRIBED}}


def committed(kafka):
    """The group's offsets, which Kafka keeps in __consumer_offsets."""
    output = suite.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server",
                        kafka.address, "--describe", "--group", "readers", "--offsets")
    return re.findall(r"^readers\s+(\S+)\s+(\d+)\s+(\d+)", output, re.M)


def fill(kafka):
    classic.topics(kafka, "--create", "--topic", "settings", "--partitions", "3")
    for words in ALTERED:
        configs(kafka, "--alter", *words)
    suite.tool(ACLS, "--bootstrap-server", kafka.address, "--add", "--allow-principal", "User:alice", "--operation",
               "Read", "--topic", "set", "--resource-pattern-type", "prefixed", "--allow-host", "10.0.0.1")
    for codec in classic.CODECS:
        classic.performance(kafka, codec)
    classic.topics(kafka, "--create", "--topic", "read")
    classic.produce(kafka, "read", [f"{n}" for n in range(GROUP_RECORDS)])
    suite.tool(classic.CONSUME, "--bootstrap-server", kafka.address, "--topic", "read", "--group", "readers",
               "--from-beginning", "--max-messages", GROUP_RECORDS, "--timeout-ms", 60000)


def read(broker, written):
    """Every record of every codec, and of the topics that the broker under test made."""
    for codec in classic.CODECS:
        count = classic.PERFORMANCE_RECORDS
        suite.equal(count, len(classic.consume(broker, classic.codec_topic(codec), 0, count)), codec)
    suite.equal([f"{n}" for n in range(GROUP_RECORDS)],
                list(classic.consume(broker, "read", 0, GROUP_RECORDS).values()), "records of the group's topic")
    for topic, values in written.items():
        suite.equal(values, list(classic.consume(broker, topic, 0, len(values)).values()), f"records of {topic}")


def without_written(found, written):
    """The state less the topics of the broker under test."""
    cluster = dict(found["cluster"])
    cluster["topics"] = [line for line in cluster["topics"] if not re.search(r"Topic: written-", line)]
    cluster["ends"] = {where: end for where, end in cluster["ends"].items() if where[0] not in written}
    return {**found, "cluster": cluster}


def hand_over(checks, directory, before, offsets):
    written = {}
    for turn in ("first", "second"):
        with checks.check(f"the broker serves and writes Kafka's directory, the {turn} time"):
            with suite.target(directory=directory) as broker:
                suite.equal(before["features"], features(broker), "features")
                topic = f"written-{turn}"
                classic.topics(broker, "--create", "--topic", topic, "--config", "retention.ms=-1")
                written[topic] = [f"{turn} {n}" for n in range(SEGMENTED)]
                classic.produce(broker, topic, written[topic], "--compression-codec", "lz4")
                read(broker, written)
                broker.stop()
        with checks.check(f"Apache Kafka finds everything as it was, the {turn} time"):
            with suite.ApacheKafka(*AUTHORIZED, directory=directory) as kafka:
                after = without_written(state(kafka), written)
                for what, expected in before.items():
                    suite.equal(expected, after[what], what)
                suite.equal(offsets, committed(kafka), "offsets of the group")
                read(kafka, written)
                kafka.stop()


def run(checks):
    with tempfile.TemporaryDirectory(prefix="ottla-level-") as directory:
        before, offsets = {}, []
        with checks.check("Apache Kafka formats a directory at its own level and fills it"):
            with suite.ApacheKafka(*AUTHORIZED, directory=directory) as kafka:
                fill(kafka)
                before, offsets = state(kafka), committed(kafka)
                assert offsets, "the group committed nothing"
                assert len(before["features"]) >= 6, f"features: {before['features']}"
                kafka.stop()
        if offsets:
            hand_over(checks, directory, before, offsets)
    with checks.check("a directory that kafka-storage formatted for 3.9 is served at that level"):
        with tempfile.TemporaryDirectory(prefix="ottla-formatted-") as directory:
            formatted(directory, "--release-version", "3.9")
    with checks.check("and so is one that it formatted at its own level and never ran"):
        with tempfile.TemporaryDirectory(prefix="ottla-formatted-") as directory:
            formatted(directory)


def formatted(directory, *words):
    """kafka-storage made it, the broker under test runs it first, then Apache Kafka does."""
    subprocess.run([suite.KAFKA, "format", directory, "1", *words], check=True, stdin=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    with suite.target(directory=directory) as broker:
        levels = features(broker)
        assert not words or levels["metadata.version"].startswith("3.9"), levels
        classic.produce(broker, "first", ["one", "two"])
        suite.equal(["one", "two"], list(classic.consume(broker, "first", 0, 2).values()), "records")
        broker.stop()
    with suite.ApacheKafka(directory=directory) as kafka:
        suite.equal(levels, features(kafka), "features")
        suite.equal(["one", "two"], list(classic.consume(kafka, "first", 0, 2).values()), "records under Kafka")
        kafka.stop()
