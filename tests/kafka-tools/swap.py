# SPDX-License-Identifier: Apache-2.0
"""One directory that goes from Apache Kafka to the broker under test and back, twice, each cleanly stopped.

At each change the next one must show what the one before showed: every partition, the internal ones included, byte for
byte, with its ends, last stable offset and aborted transactions. Producers go on where they were, their repeated
batches are recognised. Ids, levels and settings stay. Kafka's DumpLogSegments accepts the files at each stop.
"""
import os
import pathlib
import re
import struct
import subprocess
import tempfile
import time

import classic
import dump
import levels
import load
import suite
import transactions
from suite import equal
from wire import Wire, record, seal

SETTINGS = ("transaction.state.log.num.partitions=1", "log.cleaner.backoff.ms=300",
            "log.cleaner.min.cleanable.ratio=0.01")
LOAD_SECONDS = 0.7
SMALL = {"segment.bytes": str(classic.SEGMENT_BYTES)}
OTHERS = (("txn", 0), ("cut", 0), ("__consumer_offsets", 0), ("__transaction_state", 0))
KEYS = 20
REFUSAL_LIMIT_SECONDS = 60


def shown(wire, topic, partition):
    """All that a consumer of either isolation is told of a partition."""
    ends = [wire.list_offset(topic, partition, when) for when in (-1, -2)]
    found = {"ends": ends, "records": [], "aborted": []}
    for committed in (0, 1):
        offset = ends[1][1]
        while True:
            error, high, stable, start, aborted, data = wire.fetch_all(topic, partition, offset, committed=committed)
            equal(0, error, f"fetch of {topic}-{partition} at {offset}")
            found["aborted"] += aborted
            batches = list(load.split(data))
            if not batches:
                break
            offset = batches[-1][1] + 1
            if not committed:
                found["records"] += [batch for _, _, batch in batches]
        found[f"end {committed}"] = (high, stable, start, offset)
    found["aborted"] = sorted(set(found["aborted"]))
    return found


def table(wire):
    """The compacted topic's last value for each key."""
    found = {}
    for _, _, batch in load.read(wire, "table", 0):
        found |= dict(load.records(batch))
    return {key: value for key, value in found.items() if value is not None}


class Swap:
    """The directory, what was written so far, and what the last one to hold it showed."""

    def __init__(self, checks, directory):
        self.checks, self.directory = checks, directory
        self.work = load.Load(None)
        self.before = None
        self.cluster = None
        self.ids = None
        self.rounds = 0
        self.wanted = {}  # the table
        self.open = None  # a transaction that stays open over a change of brokers
        self.group = {}

    def connect(self, broker):
        return Wire(broker.port)

    # ---- what each turn writes ---------------------------------------------------------------------------------

    def make_topics(self, broker):
        self.work.broker = broker
        wire = self.connect(broker)
        for topic, settings in (("txn", SMALL), ("cut", SMALL),
                                ("table", SMALL | {"cleanup.policy": "compact", "delete.retention.ms": "0"})):
            wire.create_topic(topic, 1, settings)
        wire.close()
        self.work.topic("swap", 2, {"idempotent": True}, {"depth": 10}, {"idempotent": True, "acks": 1},
                        configs=(f"segment.bytes={classic.SEGMENT_BYTES}", "retention.ms=-1"))

    def write(self, broker):
        """Every codec, by producers that go on; keys that replace those of the turn before, and some deleted ones."""
        self.rounds += 1
        self.work.broker = broker
        self.work.start()
        self.work.wait_until_written()
        time.sleep(LOAD_SECONDS)
        self.work.stop()
        wire = self.connect(broker)
        for number in range(60):
            values = {b"key-%d" % key: b"%d-%d-%d" % (self.rounds, number, key) + b"." * 800 for key in range(KEYS)}
            values[b"key-%d" % self.rounds] = None
            records = b"".join(record(delta, value, key, [(b"round", b"%d" % self.rounds)])
                               for delta, (key, value) in enumerate(values.items()))
            equal(0, wire.produce("table", seal(KEYS, records, int(time.time() * 1000)))[0], "answer to the table")
            self.wanted |= values
        equal(0, wire.produce("cut", load.MAKERS[1].batch(b"after"))[0], "answer to the cut topic")
        wire.close()

    def write_as_kafka(self, broker):
        """What only Apache Kafka's coordinators do: transactions and groups; and a log that does not start at 0."""
        wire = self.connect(broker)
        if self.open:
            self.open.moved(wire).end(commit=True)
        for commit in (True, False, True, False):
            producer = transactions.Producer(wire, f"one-{self.rounds}")
            for part in range(3):
                producer.write("txn", 0, [b"%d-%d-%d" % (self.rounds, part, n) + b"t" * 5000 for n in range(20 + part)])
            producer.end(commit)
        self.open = transactions.Producer(wire, f"open-{self.rounds}")
        self.open.write("txn", 0, [b"open"])
        for _ in range(120):
            equal(0, wire.produce("cut", load.MAKERS[1].batch(b"before"))[0], "answer to the cut topic")
        equal(0, wire.delete_records("cut", 0, wire.end_offset("cut") - 1000)[0], "answer to DeleteRecords")
        self.group[f"group-{self.rounds}"] = wire.end_offset("cut") - self.rounds
        for group, offset in self.group.items():
            transactions.commit_offset(wire, group, "cut", 0, offset)
        wire.close()

    # ---- what each turn finds ----------------------------------------------------------------------------------

    def partitions(self):
        return [(one.topic, one.partition) for one in self.work.ledgers] + list(OTHERS)

    def wait_for_leaders(self, broker):
        wire = self.connect(broker)
        for partition in self.partitions():
            suite.wait_for_leader(wire, *partition)
        wire.close()

    def look(self, broker):
        wire = self.connect(broker)
        found = {f"{topic}-{partition}": shown(wire, topic, partition) for topic, partition in self.partitions()}
        wire.close()
        return found

    def compare(self, broker):
        """... with what was there when the one before stopped."""
        found = self.look(broker)
        for partition, expected in self.before.items():
            for what, value in expected.items():
                assert found[partition][what] == value, f"{what} of {partition} changed: {value!r:.300} became " \
                                                        f"{found[partition][what]!r:.300}"
        self.work.broker = broker
        assert self.work.check() > 100 * self.rounds, "hardly anything was written"
        wire = self.connect(broker)
        live = {key: value for key, value in self.wanted.items() if value is not None}
        equal(live, table(wire), "the table")
        wire.close()

    def send_again(self, broker, how_many):
        """What the idempotent producers wrote last is recognised: it is told where it is, not stored again."""
        wire = self.connect(broker)
        for ledger in self.work.ledgers:
            last = {}
            for base, _, batch in load.read(wire, ledger.topic, ledger.partition):
                producer = load.HEADER.unpack_from(batch)[9]
                if producer >= 0:
                    last.setdefault(producer, []).append((base, batch))
            equal(2, len(last), f"producers in {ledger.name}")
            end = wire.end_offset(ledger.topic, ledger.partition)
            for base, batch in (one for found in last.values() for one in found[-how_many:]):
                again = struct.pack(">q", 0) + batch[8:12] + struct.pack(">i", -1) + batch[16:]
                equal((0, base), wire.produce(ledger.topic, again, partition=ledger.partition), f"{ledger.name} again")
            equal(end, wire.end_offset(ledger.topic, ledger.partition), f"end of {ledger.name} afterwards")
        wire.close()

    def groups(self, broker):
        wire = self.connect(broker)
        for group, offset in self.group.items():
            equal(offset, transactions.committed_offset(wire, group, "cut", 0), f"offset of {group}")
        wire.close()

    def same_cluster(self, broker):
        """Ids, topics with their settings, levels of features."""
        found = {key: value for key, value in classic.cluster(broker).items() if key != "ends"}
        found["topics"] = [sorted(re.split(r"[\t,]|Configs: ", line)) for line in found["topics"]]  # in any order
        found["features"] = levels.features(broker)
        self.cluster = self.cluster or found
        equal(self.cluster, found, "the cluster")

    # ---- what lies in the directory after each stop ------------------------------------------------------------

    def closed(self):
        """Names, ids, epochs; and Kafka's own tool over every file."""
        data = pathlib.Path(self.directory, "data")
        left = [path.name for path in data.iterdir() if re.match(r"\.ottla(?!-sums|-catalogue-\d+$)", path.name)]
        equal([], left, "files of ours that are only there until a clean stop")
        ids = {path.parent.name: dump.properties(path)["topic_id"] for path in data.glob("*-*/partition.metadata")}
        ids |= dump.properties(data / "meta.properties")
        self.ids = self.ids or ids
        equal(self.ids, {key: ids[key] for key in self.ids}, "ids")
        starts = dump.partition_offsets(data / "log-start-offset-checkpoint")
        for folder in dump.partitions(data):
            epochs(folder, starts.get(folder.name, 0))
        paths = [path for suffix in (".log", ".index", ".timeindex", ".txnindex", ".snapshot")
                 for path in dump.files(dump.partitions(data), suffix)]
        assert any(path.name.endswith(".txnindex") and path.stat().st_size for path in paths), "no aborted transaction"
        for path, lines in dump.dump(paths, "--deep-iteration", "--index-sanity-check").items():
            if path.endswith("index") and not path.endswith(".txnindex") and os.path.getsize(path):
                equal([f"{path} passed sanity check."], lines, f"verdict on {path}")
        metadata = data / dump.METADATA
        dump.dump([*dump.files([metadata], ".log"), *dump.files([metadata], ".checkpoint")],
                  "--cluster-metadata-decoder")

    # ---- turns -------------------------------------------------------------------------------------------------

    def turn(self, name, make, is_kafka):
        with self.checks.check(f"swap: {name} shows what the one before showed, and writes"):
            with make(*SETTINGS, directory=self.directory) as broker:
                if self.before is None:
                    self.make_topics(broker)
                else:
                    self.wait_for_leaders(broker)
                    self.compare(broker)
                    # Apache Kafka's snapshot holds one batch of a producer; the broker under test looks for five.
                    self.send_again(broker, 1 if is_kafka else 5)
                if is_kafka:
                    self.groups(broker)
                    self.write_as_kafka(broker)
                self.write(broker)
                self.same_cluster(broker)
                self.refuses_others(broker)
                self.before = self.look(broker)
                broker.stop()
        with self.checks.check(f"swap: DumpLogSegments accepts every file that {name} left, and ids stay"):
            self.closed()

    def refuses_others(self, broker):
        """A second process on the directory, of either program, says so and ends."""
        for make in (suite.ApacheKafka, suite.target):
            other = make(directory=self.directory)
            if type(other) is type(broker) is suite.ApacheKafka:
                continue  # Its own affair; it does not end.
            done = subprocess.run(other.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=REFUSAL_LIMIT_SECONDS)
            assert done.returncode not in (0, suite.ApacheKafka.INTERRUPTED), f"it ended with {done.returncode}"
            assert re.search(r"lock|in use", done.stdout, re.I) and broker.data in done.stdout, done.stdout


def epochs(folder, start):
    """leader-epoch-checkpoint says where each epoch of the log's batches begins; nothing is asked of what lies below
    the log's start, of an epoch at the end that is still empty, or of the gaps that compaction leaves."""
    begins, end = {}, 0
    for base, last, batch in load.read_files(folder):
        begins.setdefault(load.HEADER.unpack_from(batch)[2], base)
        end = last + 1
    told = {int(epoch): int(offset) for epoch, offset in dump.checkpoint(folder / "leader-epoch-checkpoint")}
    equal(sorted(told.values()), list(told.values()), f"offsets in leader-epoch-checkpoint of {folder.name}")
    ends = dict(zip(begins, [*list(begins.values())[1:], end]))
    for epoch, base in begins.items():
        if ends[epoch] > start:
            found = max(told.get(epoch, end), start)
            assert found == max(base, start) or (folder.name == "table-0" and found < base), \
                f"{folder.name}: epoch {epoch} begins at {base}, the checkpoint says {told}"
    assert all(offset == end for epoch, offset in told.items() if epoch > max(begins, default=-1)), f"{told} of {end}"


def run(checks):
    with tempfile.TemporaryDirectory(prefix="ottla-swap-") as directory:
        swap = Swap(checks, directory)
        for name, make in (("Apache Kafka", suite.ApacheKafka), ("the broker under test", suite.target),
                           ("Apache Kafka again", suite.ApacheKafka), ("the broker under test again", suite.target),
                           ("Apache Kafka at last", suite.ApacheKafka)):
            swap.turn(name, make, make is suite.ApacheKafka or suite.TARGET == "kafka")
            if len(checks.failed):
                break  # What follows would only say the same again.
