# SPDX-License-Identifier: Apache-2.0
"""Kafka's classic command line tools against a running broker, and the data they leave for the checks of files."""
import re

from suite import equal, tool

TOPICS = "org.apache.kafka.tools.TopicCommand"
PRODUCE = "org.apache.kafka.tools.ConsoleProducer"
CONSUME = "org.apache.kafka.tools.consumer.ConsoleConsumer"
OFFSETS = "org.apache.kafka.tools.GetOffsetShell"
PERFORMANCE = "org.apache.kafka.tools.ProducerPerformance"
VERSIONS = "org.apache.kafka.tools.BrokerApiVersionsCommand"
CLUSTER = "org.apache.kafka.tools.ClusterTool"
CONFIGS = "kafka.admin.ConfigCommand"

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
SEGMENT_BYTES = 1 << 20  # the least that Kafka allows
PERFORMANCE_RECORDS = 12_000
PERFORMANCE_RECORD_BYTES = 200
NEEDED = ("Produce", "Fetch", "ListOffsets", "Metadata", "ApiVersions", "CreateTopics", "DeleteTopics",
          "InitProducerId", "DescribeConfigs", "DescribeCluster")


def codec_topic(codec):
    return f"codec-{codec}"


def topics(broker, *words, check=True):
    return tool(TOPICS, "--bootstrap-server", broker.address, *words, check=check)


def offsets(broker, *words):
    """kafka-get-offsets: (topic, partition) -> offset."""
    lines = tool(OFFSETS, "--bootstrap-server", broker.address, *words).splitlines()
    found = [line.rsplit(":", 2) for line in lines if re.fullmatch(r"[\w.-]+:\d+:\d*", line)]
    return {(topic, int(partition)): int(offset) for topic, partition, offset in found if offset}


def cluster(broker):
    """What must outlive every change of program: cluster id, topics with their ids and settings, and where logs end."""
    cluster_id = re.search(r"Cluster ID: (\S{22})", tool(CLUSTER, "cluster-id", "--bootstrap-server", broker.address))[1]
    described = sorted(line.partition("\tElr:")[0].strip() for line in topics(broker, "--describe").splitlines())
    return {"cluster id": cluster_id, "topics": described, "ends": offsets(broker)}


def produce(broker, topic, lines, *words):
    tool(PRODUCE, "--bootstrap-server", broker.address, "--topic", topic, *words, stdin="\n".join(lines) + "\n")


def consume(broker, topic, partition, count):
    """The first `count` records of a partition, read by assignment: offset -> value."""
    output = tool(CONSUME, "--bootstrap-server", broker.address, "--topic", topic, "--partition", partition,
                  "--offset", "earliest", "--max-messages", count, "--timeout-ms", 60000,
                  "--formatter-property", "print.offset=true")
    found = [re.fullmatch(r"Offset:(\d+)\t(.*)", line) for line in output.splitlines()]
    records = {int(match[1]): match[2] for match in found if match}
    equal(count, len(records), f"records read from {topic}-{partition}")
    return records


def run(checks, broker):
    with checks.check("kafka-topics --create makes a topic"):
        output = topics(broker, "--create", "--topic", "tools", "--partitions", "3", "--replication-factor", "1",
                        "--config", "retention.ms=-1")
        assert "Created topic tools." in output, output
    with checks.check("kafka-topics --create of an existing topic fails"):
        output = topics(broker, "--create", "--topic", "tools", check=False)
        assert "Topic 'tools' already exists" in output, output
    with checks.check("kafka-topics --create --if-not-exists does not"):
        topics(broker, "--create", "--if-not-exists", "--topic", "tools")
    with checks.check("kafka-topics --list and --delete agree"):
        topics(broker, "--create", "--topic", "deleted", "--partitions", "2")
        equal(["deleted", "tools"], topics(broker, "--list").split(), "topics")
        topics(broker, "--delete", "--topic", "deleted")
        equal(["tools"], topics(broker, "--list").split(), "topics")
    with checks.check("kafka-topics --describe shows leader, replicas and settings"):
        describe(broker)
    with checks.check("kafka-topics --describe of an unknown topic fails"):
        output = topics(broker, "--describe", "--topic", "unknown", check=False)
        assert "Topic 'unknown' does not exist as expected" in output, output
    with checks.check("kafka-console-producer writes and kafka-console-consumer reads by partition"):
        produce(broker, "tools", [f"{n}" for n in range(300)], "--compression-codec", "gzip")
        ends = offsets(broker, "--topic", "tools")
        equal(300, sum(ends.values()), "records written")
        read = [value for (_, p), end in ends.items() if end for value in consume(broker, "tools", p, end).values()]
        equal(list(range(300)), sorted(map(int, read)), "records read")
    with checks.check("kafka-get-offsets knows the earliest, a time and the largest timestamp"):
        every_offset(broker)
    with checks.check("kafka-configs --describe shows a topic and the broker"):
        configs(broker)
    with checks.check("kafka-broker-api-versions finds every API it needs usable"):
        output = tool(VERSIONS, "--bootstrap-server", broker.address)
        for name in NEEDED:
            assert re.search(rf"\b{name}\(\d+\): .*\[usable: \d+\]", output), f"{name} in {output}"
    with checks.check("kafka-cluster cluster-id tells the id of meta.properties"):
        output = tool(CLUSTER, "cluster-id", "--bootstrap-server", broker.address)
        found = re.search(r"Cluster ID: (\S{22})", output)
        with open(f"{broker.data}/meta.properties", encoding="utf-8") as meta:
            assert found and f"cluster.id={found[1]}\n" in meta.read(), output
    for codec in CODECS:
        with checks.check(f"kafka-producer-perf-test writes {PERFORMANCE_RECORDS} records in {codec}"):
            performance(broker, codec)


def describe(broker):
    output = topics(broker, "--describe", "--topic", "tools")
    head = re.search(r"Topic: tools\s+TopicId: (\S{22})\s+PartitionCount: 3\s+ReplicationFactor: 1\s+Configs: (.*)",
                     output)
    assert head and "retention.ms=-1" in head[2], output
    for partition in range(3):
        expected = rf"Topic: tools\s+Partition: {partition}\s+Leader: (\d+)\s+Replicas: \1\s+Isr: \1\b"
        assert re.search(expected, output), output


def every_offset(broker):
    everywhere = [("tools", partition) for partition in range(3)]
    equal(dict.fromkeys(everywhere, 0), offsets(broker, "--topic", "tools", "--time", "earliest"), "earliest")
    ends = offsets(broker, "--topic-partitions", "tools:0-3")  # without 3
    largest = offsets(broker, "--topic", "tools", "--time", "max-timestamp")
    equal({where for where, end in ends.items() if end}, set(largest), "partitions with a largest timestamp")
    assert all(0 <= offset < ends[where] for where, offset in largest.items()), f"{largest} of {ends}"
    equal({where for where, end in ends.items() if end},
          {where for where, offset in offsets(broker, "--topic", "tools", "--time", "1").items() if offset == 0},
          "partitions whose first record is later than 1970")


def configs(broker):
    own = tool(CONFIGS, "--bootstrap-server", broker.address, "--describe", "--entity-type", "topics",
               "--entity-name", "tools")
    assert re.search(r"retention.ms=-1 sensitive=false synonyms=\{DYNAMIC_TOPIC_CONFIG:retention.ms=-1", own), own
    everything = tool(CONFIGS, "--bootstrap-server", broker.address, "--describe", "--all", "--topic", "tools")
    assert re.search(r"segment.bytes=1073741824 .*DEFAULT_CONFIG:log.segment.bytes=1073741824", everything), everything
    node = re.search(r"Leader: (\d+)", topics(broker, "--describe", "--topic", "tools"))[1]
    settings = tool(CONFIGS, "--bootstrap-server", broker.address, "--describe", "--all", "--broker", node)
    assert re.search(rf"node.id={node} .*STATIC_BROKER_CONFIG:node.id={node}|node.id={node} ", settings), settings
    assert re.search(r"num.partitions=1 ", settings), settings


def performance(broker, codec):
    topic = codec_topic(codec)
    topics(broker, "--create", "--topic", topic, "--config", f"segment.bytes={SEGMENT_BYTES}")
    output = tool(PERFORMANCE, "--bootstrap-server", broker.address, "--topic", topic, "--num-records",
                  PERFORMANCE_RECORDS, "--record-size", PERFORMANCE_RECORD_BYTES, "--throughput", "-1",
                  "--command-property", f"compression.type={codec}", "acks=all", "enable.idempotence=true")
    assert f"{PERFORMANCE_RECORDS} records sent" in output, output
    equal({(topic, 0): PERFORMANCE_RECORDS}, offsets(broker, "--topic", topic), "end")
