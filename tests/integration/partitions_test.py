# SPDX-License-Identifier: Apache-2.0
"""2,000 partitions in a process that may open 400 files: every one is written, read from its file, and there after a
kill and after a clean stop."""
import time

from many import Limited, fetch, produce
from wire import Wire, batch

PARTITIONS = 2000
FILES = 400


def read_all(broker, offset, value):
    wire = Wire(broker.port)
    found = fetch(wire, "many", range(PARTITIONS), offset)
    wire.close()
    wrong = [partition for partition, records in found.items() if value not in records]
    assert len(found) == PARTITIONS and not wrong, f"{len(wrong)} partitions lost {value}: {wrong[:10]}"


def write_all(broker, value):
    wire = Wire(broker.port)
    produce(wire, "many", range(PARTITIONS), batch([value], timestamp=int(time.time() * 1000)))
    wire.close()


def check(broker):
    assert broker.most_open < FILES, "all descriptors were in use"
    told = [line for line in broker.lines if " E " in line or "Too many open files" in line]
    assert not told, told


with Limited(FILES) as broker:
    broker.start()
    wire = Wire(broker.port)
    wire.create_topic("many", PARTITIONS)
    wire.close()
    assert broker.descriptors() < 60, f"{broker.descriptors()} files are open for partitions without a record"
    write_all(broker, b"the first of each")
    read_all(broker, 0, b"the first of each")
    broker.restart("kill")
    read_all(broker, 0, b"the first of each")
    write_all(broker, b"the second of each")
    broker.restart("stop")
    # Nothing of it is in memory now: each is read from its file, with descriptors for a few.
    read_all(broker, 0, b"the first of each")
    read_all(broker, 1, b"the second of each")
    check(broker)
    broker.stop()
    print(f"{PARTITIONS} partitions, at most {broker.most_open} of {FILES} files open")
