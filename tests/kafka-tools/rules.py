# SPDX-License-Identifier: Apache-2.0
"""The same requests to Apache Kafka and to the broker under test, for what a log takes, stamps, deletes and lists:
their answers must be equal, but for the time of day."""
import struct
import time
import zlib

import suite
from suite import equal
from wire import Wire, crc32c, record, seal, varint

HOUR, DAY = 3_600_000, 86_400_000
LIMIT = 2000
BIG = {"segment.bytes": str(1 << 20), "max.message.bytes": str(5 << 20)}
TOPICS = {
    "plain": {},
    "limited": {"max.message.bytes": str(LIMIT)},
    "limited-plain": {"max.message.bytes": str(LIMIT), "compression.type": "uncompressed"},
    "limited-gzip": {"max.message.bytes": str(LIMIT), "compression.type": "gzip"},
    "short": BIG,
    "short-plain": BIG | {"compression.type": "uncompressed"},
    "stamped": {"message.timestamp.type": "LogAppendTime"},
    "bounded": {"message.timestamp.before.max.ms": "60000", "message.timestamp.after.max.ms": "60000"},
    "table": {"cleanup.policy": "compact"},
    "both": {"cleanup.policy": "compact,delete"},
    "neither": {"cleanup.policy": ""},
}


def now():
    return int(time.time() * 1000)


def dated(offsets, keys=True):
    """A batch whose records are dated so far from now."""
    base = now()
    first = base + offsets[0]
    out = b""
    for delta, offset in enumerate(offsets):
        body = b"\0" + varint(offset - offsets[0]) + varint(delta)
        for part in ((b"k" if keys else None), b"v"):
            body += varint(-1) if part is None else varint(len(part)) + part
        body += varint(0)
        out += varint(len(body)) + body
    rest = struct.pack(">hiqqqhii", 0, len(offsets) - 1, first, base + max(offsets), -1, -1, -1, len(offsets)) + out
    tail = struct.pack(">ibI", -1, 2, crc32c(rest)) + rest
    return struct.pack(">qi", 0, len(tail)) + tail


def sized(bytes_, codec=0, count=1):
    records = b"".join(record(delta, b"s" * bytes_, b"k") for delta in range(count))
    if codec == 1:
        packer = zlib.compressobj(wbits=31)
        records = packer.compress(records) + packer.flush()
    return seal(count, records, now(), codec=codec)


def with_byte(batch, position, change):
    """A byte of the batch is another; its checksum is right."""
    changed = bytearray(batch)
    changed[position] = change(changed[position])
    if position >= 21:
        changed[17:21] = struct.pack(">I", crc32c(bytes(changed[21:])))
    return bytes(changed)


def writes():
    """(what, topic, records field)."""
    good = dated([0])
    for topic in ("plain", "stamped", "table", "both", "neither"):
        yield "a good batch", topic, good
    for what, offsets in (("an hour ahead", [HOUR - 60_000]), ("more than an hour ahead", [HOUR + 60_000]),
                          ("a year ago", [-365 * DAY]), ("dated in any order", [0, -DAY, 5000, -2 * DAY])):
        yield what, "plain", dated(offsets)
        yield what, "stamped", dated(offsets)
    for seconds in (-120, -30, 30, 120):
        yield f"{seconds} s away", "bounded", dated([seconds * 1000])
        yield f"one of two is {seconds} s away", "bounded", dated([0, seconds * 1000])
    yield "the timestamp type of the broker", "plain", with_byte(good, 22, lambda byte: byte | 8)
    yield "the timestamp type of the broker", "stamped", with_byte(good, 22, lambda byte: byte | 8)
    yield "a control batch", "plain", with_byte(good, 22, lambda byte: byte | 32)
    # A codec that there is none of is UNKNOWN_SERVER_ERROR there; ours says UNSUPPORTED_COMPRESSION_TYPE.
    yield "a record without a key", "table", dated([0], keys=False)
    yield "a record without a key", "both", dated([0], keys=False)
    yield "a record without a key", "neither", dated([0], keys=False)
    yield "no batch", "plain", b""
    yield "a base offset", "plain", struct.pack(">q", 7) + good[8:]
    yield "two batches", "plain", good + good
    yield "half a batch behind it", "plain", good + good[:40]
    yield "magic 1", "plain", with_byte(good, 16, lambda _: 1)
    yield "magic 3", "plain", with_byte(good, 16, lambda _: 3)
    yield "a wrong checksum", "plain", good[:20] + bytes([good[20] ^ 1]) + good[21:]
    for topic in ("limited", "limited-plain", "limited-gzip"):
        empty = len(sized(0))
        yield "a batch as large as allowed", topic, sized(LIMIT - empty - 2)
        yield "a batch larger than allowed", topic, sized(LIMIT)
        yield "a batch that compression makes small", topic, sized(100, 1, 60)
        yield "three records that are too large together", topic, sized(1000, 0, 3)
    for topic in ("short", "short-plain"):
        yield "a batch larger than a segment", topic, sized(1 << 20)
        yield "a small batch of two segments", topic, sized(1 << 20, 1, 2)
    yield "nobody's topic", "nobody", good


def produce(wire, topic, records):
    """All that Produce v7 answers; a time of day is only said to be one."""
    wire.send_produce(topic, records)
    _, body = wire.receive()
    _, error, base, stamp, start = struct.unpack_from(">ihqqq", body, 4 + 2 + len(topic) + 4)
    return error, base, stamp if stamp < 0 else "a time", start


def batches(data):
    """What a stored batch says of itself, its checksum checked."""
    at = 0
    while at + 61 <= len(data):
        length = struct.unpack_from(">i", data, at + 8)[0] + 12
        batch = data[at : at + length]
        if len(batch) < length:
            return
        crc, attributes, delta, first, latest = struct.unpack_from(">Ihiqq", batch, 17)
        equal(crc32c(batch[21:]), crc, "checksum of a stored batch")
        base, stamped = struct.unpack_from(">q", batch)[0], attributes & 8
        count, ages = struct.unpack_from(">i", batch, 57)[0], [round((when - now()) / HOUR) for when in (first, latest)]
        yield base, attributes, delta, count, stamped or ages[0], ages[1]
        at += length


def stored(wire, topic):
    """(log start, what the log holds)."""
    found, offset = [], wire.list_offset(topic, 0, -2)[1]
    start = offset
    while True:
        error, high, _, _, _, data = wire.fetch_all(topic, 0, offset, limit=4 << 20)
        equal(0, error, f"fetch of {topic}")
        some = list(batches(data))
        if not some or offset >= high:
            return start, found
        found += some
        offset = some[-1][0] + some[-1][2] + 1


def deletions():
    """(topic, partition, before)."""
    for topic in ("plain", "stamped", "table", "both", "neither"):
        yield from ((topic, 0, before) for before in (-2, 0, 1, 1000, 0, -1, -1))
    yield from (("plain", 9, 0), ("nobody", 0, 0))


def asked(wire):
    """Everything, in words."""
    for topic, settings in TOPICS.items():
        wire.create_topic(topic, 1, settings)
        suite.wait_for_leader(wire, topic, 0)
    found = {}
    for number, (what, topic, records) in enumerate(writes()):
        found[f"{number} {what} to {topic}"] = produce(wire, topic, records)
    for topic in TOPICS:
        found[f"what {topic} holds"] = stored(wire, topic)
        for when in (-1, -2, 0, now() - 2 * HOUR, now() + 30 * 60_000, now() + 10 * DAY):
            age = when if when < 1 else round((when - now()) / HOUR, 1)
            found[f"offset of {age} in {topic}"] = wire.list_offset(topic, 0, when)
    for number, (topic, partition, before) in enumerate(deletions()):
        found[f"{number} deletion in {topic}-{partition} before {before}"] = wire.delete_records(topic, partition, before)
        if topic in TOPICS and partition == 0:
            found[f"{number} start of {topic} then"] = wire.list_offset(topic, 0, -2)
    return found


def run(checks):
    answers = []
    for broker in (suite.ApacheKafka(), suite.target()):
        with broker:
            wire = Wire(broker.port)
            answers.append(asked(wire))
            wire.close()
            broker.stop()
    kafka, ours = answers
    with checks.check(f"{len(kafka)} answers about what a log takes, stamps, deletes and lists are Apache Kafka's"):
        different = [f"{what}: {kafka[what]} there, {ours.get(what)} here" for what in kafka if kafka[what] != ours.get(what)]
        assert not different, "\n".join(["answers differ:", *different])
