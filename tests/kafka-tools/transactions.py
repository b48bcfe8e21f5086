# SPDX-License-Identifier: Apache-2.0
"""What the swap of directories asks of a coordinator, by hand: transactions left committed, aborted and open, and
offsets of a group. Only Apache Kafka is asked."""
import struct
import time

from suite import equal
from wire import record, seal, text

# COORDINATOR_LOAD_IN_PROGRESS, .._NOT_AVAILABLE, NOT_COORDINATOR, CONCURRENT_TRANSACTIONS
LATER = (14, 15, 16, 51)
LIMIT_SECONDS = 60
TRANSACTIONAL = 0x10


def insist(ask):
    """`ask` until its first value, an error code, is 0; gives the rest."""
    limit = time.monotonic() + LIMIT_SECONDS
    while True:
        error, *rest = ask()
        if error == 0:
            return rest
        assert error in LATER and time.monotonic() < limit, f"a coordinator answers {error}"
        time.sleep(0.05)


def find(wire, key, kind):
    """FindCoordinator v1 makes the internal topic."""
    def ask():
        wire.send(10, 1, text(key) + struct.pack(">b", kind))
        _, body = wire.receive()
        return struct.unpack_from(">h", body, 4)
    insist(ask)


class Producer:
    """One transactional id; the transactions of the first protocol (before KIP-890)."""

    def __init__(self, wire, name):
        self.wire, self.name = wire, name
        find(wire, name, 1)
        def ask():
            wire.send(22, 0, text(name) + struct.pack(">i", 900_000))
            _, body = wire.receive()
            return struct.unpack_from(">hqh", body, 4)
        self.id, self.epoch = insist(ask)
        self.sequences = {}

    def moved(self, wire):
        """The same producer on another connection."""
        self.wire = wire
        return self

    def add(self, topic, partition):
        def ask():
            self.wire.send(24, 0, text(self.name) + struct.pack(">qh", self.id, self.epoch) + struct.pack(">i", 1)
                           + text(topic) + struct.pack(">ii", 1, partition))
            _, body = self.wire.receive()
            return struct.unpack_from(">h", body, 4 + 4 + 2 + len(topic) + 4 + 4)
        insist(ask)

    def batch(self, topic, partition, values):
        sequence = self.sequences.get((topic, partition), 0)
        records = b"".join(record(delta, value, b"key") for delta, value in enumerate(values))
        return seal(len(values), records, int(time.time() * 1000), (self.id, self.epoch, sequence), TRANSACTIONAL)

    def write(self, topic, partition, values):
        self.add(topic, partition)
        body = text(self.name) + struct.pack(">hii", -1, 30000, 1) + text(topic)
        records = self.batch(topic, partition, values)
        self.wire.send(0, 7, body + struct.pack(">iii", 1, partition, len(records)) + records)
        error, _ = self.wire.receive_produce()
        equal(0, error, "answer to a transactional write")
        self.sequences[topic, partition] = self.sequences.get((topic, partition), 0) + len(values)

    def end(self, commit):
        def ask():
            self.wire.send(26, 0, text(self.name) + struct.pack(">qhb", self.id, self.epoch, commit))
            _, body = self.wire.receive()
            return struct.unpack_from(">h", body, 4)
        insist(ask)


def commit_offset(wire, group, topic, partition, offset):
    """OffsetCommit v2 of a group without members."""
    find(wire, group, 0)
    def ask():
        wire.send(8, 2, text(group) + struct.pack(">i", -1) + text("") + struct.pack(">q", -1) + struct.pack(">i", 1)
                  + text(topic) + struct.pack(">iiq", 1, partition, offset) + text("swap"))
        _, body = wire.receive()
        return struct.unpack_from(">h", body, 4 + 2 + len(topic) + 4 + 4)
    insist(ask)


def committed_offset(wire, group, topic, partition):
    """OffsetFetch v1."""
    find(wire, group, 0)
    def ask():
        wire.send(9, 1, text(group) + struct.pack(">i", 1) + text(topic) + struct.pack(">ii", 1, partition))
        _, body = wire.receive()
        at = 4 + 2 + len(topic) + 4
        _, offset, size = struct.unpack_from(">iqh", body, at)
        return struct.unpack_from(">h", body, at + 14 + max(size, 0)) + (offset,)
    return insist(ask)[0]
