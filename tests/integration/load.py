# SPDX-License-Identifier: Apache-2.0
"""Writers and readers that outlive the broker they talk to, and the ledger that says what must be there afterwards."""
import hashlib
import itertools
import os
import pathlib
import struct
import threading
import time

import record_codecs
from wire import CASTAGNOLI, Wire, crc32c, record, seal

SEED = int(os.environ.get("OTTLA_SEED", "0")) or int.from_bytes(os.urandom(4), "big")
KAFKA_STORAGE_ERROR, OUT_OF_ORDER = 56, 45
HEADER = struct.Struct(">qiibIhiqqqhii")  # of a batch: base offset, length, leader epoch, .. record count
PAUSE_SECONDS = 0.02
SILENCE_SECONDS = 30
SMALL_MEMORY = "ottla.memory.bytes=67108864"  # flushes go past the page cache


def flushing(chance):
    """Settings for the next start: one of the two ways to flush."""
    return chance.choice([[], [SMALL_MEMORY]])


class Suffix:
    """The CRC-32C of anything that ends with the same long bytes, which are looked at once."""

    def __init__(self, data):
        self.size = len(data)
        self.crc = crc32c(data)
        power = [(1 << bit >> 8) ^ CASTAGNOLI[(1 << bit) & 0xFF] for bit in range(32)]  # one byte of zeros
        self.columns = [1 << bit for bit in range(32)]
        rest = self.size
        while rest:
            if rest & 1:
                self.columns = [self._apply(power, column) for column in self.columns]
            power = [self._apply(power, column) for column in power]
            rest >>= 1

    @staticmethod
    def _apply(columns, value):
        found = 0
        for column in columns:
            if value & 1:
                found ^= column
            value >>= 1
        return found

    def of(self, data):
        return self._apply(self.columns, crc32c(data[: len(data) - self.size])) ^ self.crc


class Maker:
    """Makes batches of one codec and size that differ in their first record and their sequence."""

    def __init__(self, codec=0, count=3, value=b"filler"):
        self.codec, self.count = codec, count
        self.rest = b"".join(record(delta, value) for delta in range(1, count))
        self.suffix = Suffix(self.rest)

    def batch(self, name, producer=(-1, -1, -1)):
        payload, checksum = record(0, name) + self.rest, self.suffix.of
        if self.codec:
            payload, checksum = record_codecs.compress(self.codec, payload), crc32c
        return seal(self.count, payload, int(time.time() * 1000), producer, self.codec, checksum)


MAKERS = [Maker(0, 1), Maker(0, 40, b"x" * 500), Maker(1, 20), Maker(2, 5, b"y" * 300), Maker(3, 60),
          Maker(4, 100, b"z" * 900)]


def digest(batch):
    """Of all that the broker must not change: everything but base offset and leader epoch."""
    return hashlib.blake2b(batch[8:12] + batch[16:], digest_size=16).digest()


def split(data):
    """(base offset, last offset, batch) of every whole batch in `data`."""
    at = 0
    while at + HEADER.size <= len(data):
        fields = HEADER.unpack_from(data, at)
        end = at + 12 + fields[1]
        if end > len(data):
            return
        yield fields[0], fields[0] + fields[6], data[at:end]
        at = end


def _varint(data, at):
    """The signed variable-length number at `at`, and where the next thing is."""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return (value >> 1) ^ -(value & 1), at


def records(batch):
    """(key, value) of every record of a batch that is not compressed."""
    at = HEADER.size
    while at < len(batch):
        size, at = _varint(batch, at)
        end, at = at + size, at + 1
        for _ in range(2):  # timestamp and offset
            _, at = _varint(batch, at)
        parts = []
        for _ in range(2):
            size, at = _varint(batch, at)
            parts.append(None if size < 0 else batch[at : at + size])
            at += max(size, 0)
        yield tuple(parts)
        at = end


class Problem(AssertionError):
    """Something that the broker must not do; a seed goes with it."""

    def __init__(self, text):
        super().__init__(f"{text} (OTTLA_SEED={SEED})")


class Ledger:
    """Of one partition: what was sent to it, what was acknowledged, and what a reader saw."""

    def __init__(self, topic, partition):
        self.topic, self.partition = topic, partition
        self.name = f"{topic}-{partition}"
        self.sent = {}  # digest -> (writer, number)
        self.refused = set()  # (writer, number) that was answered with an error: stored or not
        self.acknowledged = {}  # base offset -> digest
        self.seen = {}  # base offset -> digest

    def note(self, where, base, found):
        """`where` is one of the two above: nothing may contradict it later."""
        if where.setdefault(base, found) != found:
            raise Problem(f"{self.name}: offset {base} was given out twice")

    def recognize(self, base, batch):
        found = digest(batch)
        if found not in self.sent:
            raise Problem(f"{self.name}: at offset {base} is a batch that nobody wrote")
        return found

    def check(self, batches):
        """`batches` as split() gives them, all of the partition; returns how many."""
        stored, following, count, end = {}, {}, 0, 0
        for base, last, batch in batches:
            if base != end:
                raise Problem(f"{self.name}: offset {base} follows {end - 1}")
            end = last + 1
            count += 1
            stored[base] = self.recognize(base, batch)
            writer, number = self.sent[stored[base]]
            expected = following.get(writer, 0)
            while expected < number and (writer, expected) in self.refused:
                expected += 1
            if number != expected:
                raise Problem(f"{self.name}: batch {number} of {writer} at offset {base}, {expected} was next")
            following[writer] = number + 1
        for what, expected in (("acknowledged", self.acknowledged), ("seen", self.seen)):
            lost = sorted(base for base, found in expected.items() if stored.get(base) != found)
            if lost:
                raise Problem(f"{self.name}: {len(lost)} of {len(expected)} {what} batches are gone or others, "
                              f"the first at {lost[0]}, the log ends at {end}")
        return count


def read(wire, topic, partition):
    """All batches that a consumer gets."""
    offset, end = wire.list_offset(topic, partition, -2)[1], wire.end_offset(topic, partition)
    while offset < end:
        error, _, data = wire.fetch(topic, partition, offset)
        if error != 0:
            raise Problem(f"{topic}-{partition}: a fetch at {offset} of {end} answers {error}")
        before = offset
        for base, last, batch in split(data):
            offset = last + 1
            yield base, last, batch
        if offset == before:
            raise Problem(f"{topic}-{partition}: a fetch at {offset} of {end} gives no batch")


def read_files(folder):
    """The same from the segments of a closed directory."""
    for path in sorted(pathlib.Path(folder).glob("*.log")):
        data = path.read_bytes()
        whole = 0
        for base, last, batch in split(data):
            whole += len(batch)
            yield base, last, batch
        if whole != len(data):
            raise Problem(f"{path} ends inside a batch")


class Writer:
    """Writes numbered batches, `depth` in flight; an idempotent one goes on where it was after the broker came back."""

    names = itertools.count()

    def __init__(self, ledger, acks=-1, idempotent=False, depth=5, makers=None):
        self.ledger, self.acks, self.idempotent, self.depth = ledger, acks, idempotent, depth
        self.makers = makers or MAKERS
        self.producer = None
        self.enough = threading.Event()
        self.begin()

    def begin(self):
        self.name, self.number, self.sequence = f"writer {next(self.names)}", 0, 0
        self.pending = []  # (number, batch, its digest) without an answer, or answered with an error

    def make(self):
        maker = self.makers[self.number % len(self.makers)]
        producer = (*self.producer, self.sequence) if self.idempotent else (-1, -1, -1)
        batch = maker.batch(f"{self.name} {self.number:09}".encode(), producer)
        found = digest(batch)
        self.ledger.sent[found] = (self.name, self.number)
        self.pending.append((self.number, batch, found))
        self.sequence += maker.count
        self.number += 1

    def session(self, wire, stop):
        """Until `stop` or a ConnectionError; `enough` is set when something was acknowledged."""
        if not self.idempotent:
            self.begin()  # What had no answer may be stored or not, and nobody will ask.
        elif self.producer is None:
            self.producer = wire.init_producer()
        sent = 0  # of `pending`, on this connection
        while True:
            while sent < self.depth:
                if sent == len(self.pending):
                    if stop.is_set():
                        break
                    self.make()
                wire.send_produce(self.ledger.topic, self.pending[sent][1], self.acks, self.ledger.partition)
                sent += 1
            if sent == 0:
                return
            error, base = wire.receive_produce()
            if error == 0:
                self.ledger.note(self.ledger.acknowledged, base, self.pending.pop(0)[2])
                self.enough.set()
                sent -= 1
            else:
                self.refused([(error, base)] + [wire.receive_produce() for _ in range(sent - 1)])
                sent = 0
                time.sleep(PAUSE_SECONDS)
                if stop.is_set():
                    return

    def refused(self, answers):
        """An idempotent writer sends all of it again: what is stored by then is acknowledged where it is."""
        for (error, base), (number, _, found) in zip(answers, self.pending):
            if error == 0:
                self.ledger.note(self.ledger.acknowledged, base, found)
            elif error != KAFKA_STORAGE_ERROR and not (error == OUT_OF_ORDER and self.idempotent):
                raise Problem(f"{self.ledger.name}: batch {number} of {self.name} answers {error}")
            elif not self.idempotent:
                self.ledger.refused.add((self.name, number))
        if answers[0][0] != KAFKA_STORAGE_ERROR:
            raise Problem(f"{self.ledger.name}: {self.name} answers {answers[0][0]}")
        if not self.idempotent:
            del self.pending[: len(answers)]


class Reader:
    """Reads on from where it was, or from the beginning again."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.offset = 0
        self.enough = threading.Event()
        self.enough.set()

    def session(self, wire, stop):
        while not stop.is_set():
            error, _, data = wire.fetch(self.ledger.topic, self.ledger.partition, self.offset, wait=100)
            if error == KAFKA_STORAGE_ERROR:
                time.sleep(PAUSE_SECONDS)
            elif error != 0:
                raise Problem(f"{self.ledger.name}: a fetch at {self.offset} answers {error}")
            for base, last, batch in split(data):
                self.ledger.note(self.ledger.seen, base, self.ledger.recognize(base, batch))
                self.offset = last + 1


class Load:
    """All writers and readers of a test, each with a thread and a connection while they run."""

    def __init__(self, broker):
        self.broker = broker
        self.ledgers, self.actors = [], []
        self.threads, self.problems = [], []
        self.stopping = threading.Event()

    def topic(self, name, partitions, *writers, configs=("segment.bytes=1048576",), readers=1):
        """`writers` are the keywords of Writer; every partition gets all of them."""
        wire = Wire(self.broker.port, SILENCE_SECONDS)
        wire.create_topic(name, partitions, dict(config.split("=") for config in configs))
        wire.close()
        for partition in range(partitions):
            ledger = Ledger(name, partition)
            self.ledgers.append(ledger)
            self.actors += [Writer(ledger, **keywords) for keywords in writers]
            self.actors += [Reader(ledger) for _ in range(readers)]

    def start(self):
        self.stopping.clear()
        self.threads = [threading.Thread(target=self._run, args=(actor,), daemon=True) for actor in self.actors]
        for actor in self.actors:
            if isinstance(actor, Writer):
                actor.enough.clear()
        for thread in self.threads:
            thread.start()

    def _run(self, actor):
        try:
            wire = Wire(self.broker.port, SILENCE_SECONDS)
            try:
                actor.session(wire, self.stopping)
            finally:
                wire.close()
        except ConnectionError:
            pass  # The broker is gone, as it should be.
        except (OSError, AssertionError, struct.error) as problem:
            self.problems.append(problem)
        finally:
            actor.enough.set()

    def wait_until_written(self):
        """Every writer has an acknowledgement since the start."""
        for actor in self.actors:
            if not actor.enough.wait(SILENCE_SECONDS):
                raise Problem(f"{actor.ledger.name}: nothing is acknowledged")

    def stop(self):
        """With the broker alive: the last answers are taken."""
        self.stopping.set()
        self.join()

    def join(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(2 * SILENCE_SECONDS)
            if thread.is_alive():
                raise Problem("a client does not end")
        if self.problems:
            raise self.problems[0]

    def check(self):
        """Reads everything through the broker; gives the number of batches."""
        wire = Wire(self.broker.port, SILENCE_SECONDS)
        try:
            return sum(ledger.check(read(wire, ledger.topic, ledger.partition)) for ledger in self.ledgers)
        finally:
            wire.close()

    def check_files(self, *data):
        """The same in closed directories."""
        def folder(ledger):
            found = [path for one in data if (path := pathlib.Path(one, ledger.name)).is_dir()]
            if len(found) != 1:
                raise Problem(f"{ledger.name} is in {len(found)} directories")
            return found[0]
        return sum(ledger.check(read_files(folder(ledger))) for ledger in self.ledgers)
