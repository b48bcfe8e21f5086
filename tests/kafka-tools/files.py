# SPDX-License-Identifier: Apache-2.0
"""Checks of every file of a data directory after a clean stop, by Kafka's own DumpLogSegments."""
import pathlib
import re

import classic
import dump
from suite import equal


def run(checks, data):
    """`data` was closed; classic.run filled it."""
    with checks.check("the directory holds topic partitions, Kafka's checkpoints and the clean-shutdown file"):
        directory(data)
    with checks.check("DumpLogSegments --deep-iteration reads every segment to its last byte"):
        segments(dump.contents(data), data)
    indexes(checks, data, pathlib.Path(data, dump.METADATA))
    with checks.check("DumpLogSegments reads the producer snapshots"):
        snapshots(data)
    with checks.check("DumpLogSegments --cluster-metadata-decoder reads the metadata log and its checkpoints"):
        metadata(data)
    with checks.check("leader-epoch-checkpoint and partition.metadata are Kafka's"):
        epochs(data)


def indexes(checks, data, *more_folders):
    with checks.check("DumpLogSegments --index-sanity-check accepts every index"):
        folders = [*dump.partitions(data), *more_folders]
        paths = dump.files(folders, "index")
        for path, lines in dump.dump(paths, "--index-sanity-check").items():
            no_entry = path.endswith(".index") and not pathlib.Path(path).stat().st_size
            verdict = "is empty" if no_entry else "passed sanity check"
            equal([f"{path} {verdict}."], lines, f"verdict on {path}")
    with checks.check("DumpLogSegments --verify-index-only finds every entry in its segment"):
        # The tool stumbles over an offset index without an entry, Kafka's own too.
        paths = [path for path in dump.files(dump.partitions(data), "index") if path.stat().st_size]
        dump.dump(paths, "--verify-index-only")
        entries(dump.dump(paths))


def directory(data):
    root = pathlib.Path(data)
    names = {path.name for path in root.iterdir()}
    for name in ("meta.properties", "bootstrap.checkpoint", ".kafka_cleanshutdown", dump.METADATA,
                 "recovery-point-offset-checkpoint", "log-start-offset-checkpoint", "replication-offset-checkpoint"):
        assert name in names, f"{name} is missing in {sorted(names)}"
    for folder in dump.partitions(data):
        assert re.fullmatch(r"[\w.-]+-\d+", folder.name), f"{folder} is no partition"
        for path in folder.iterdir():
            assert dump.TOPIC_FILES.fullmatch(path.name), f"unexpected file {path}"
    for path in (root / dump.METADATA).iterdir():
        assert dump.METADATA_FILES.fullmatch(path.name), f"unexpected file {path}"
    meta = dump.properties(root / "meta.properties")
    equal("1", meta.get("version"), "version of meta.properties")
    equal([22, 22], [len(meta.get(key, "")) for key in ("cluster.id", "directory.id")], "ids in meta.properties")


def segments(contents, data):
    for codec in classic.CODECS:
        partition = contents[f"{classic.codec_topic(codec)}-0"]
        equal(classic.PERFORMANCE_RECORDS, partition.records, f"records in {codec}")
        equal({codec}, partition.codecs, f"codecs in {codec}")
        equal(1, len(partition.producers), f"producers in {codec}")
        assert partition.segments >= 2, f"{partition.segments} segment of {classic.SEGMENT_BYTES} bytes in {codec}"
    tools = [contents[f"tools-{partition}"] for partition in range(3)]
    equal(300, sum(partition.records for partition in tools), "records of kafka-console-producer")
    equal({"gzip"}, set().union(*(partition.codecs for partition in tools)), "their codec")
    recovered = dump.partition_offsets(f"{data}/recovery-point-offset-checkpoint")
    watermarks = dump.partition_offsets(f"{data}/replication-offset-checkpoint")
    for name, partition in contents.items():
        end = partition.next_offset or 0  # A partition without a record may have no segment yet.
        equal(end, recovered.get(name), f"recovery point of {name}")
        equal(end, watermarks.get(name), f"high watermark of {name}")


def entries(sections):
    """Several thousand records cannot all hide behind one index entry."""
    by_codec = {codec: 0 for codec in classic.CODECS}
    for path, lines in sections.items():
        for codec in classic.CODECS:
            if f"/{classic.codec_topic(codec)}-0/" in path:
                by_codec[codec] += sum(line.startswith(("offset: ", "timestamp: ")) for line in lines)
    assert all(count > 20 for count in by_codec.values()), f"index entries: {by_codec}"


def snapshots(data):
    folders = dump.partitions(data)
    paths = dump.files(folders, ".snapshot")
    sections = dump.dump(paths)
    for codec in classic.CODECS:
        newest = [path for path in paths if path.parent.name == f"{classic.codec_topic(codec)}-0"][-1]
        equal(f"{classic.PERFORMANCE_RECORDS:020}.snapshot", newest.name, "newest snapshot")
        producers = [line for line in sections[str(newest)] if line.startswith("producerId: ")]
        equal(1, len(producers), f"producers in {newest}")
        equal(str(classic.PERFORMANCE_RECORDS - 1), re.search(r"lastSequence: (\d+)", producers[0])[1], "last sequence")


def metadata(data):
    root = pathlib.Path(data)
    folder = root / dump.METADATA
    paths = [*dump.files([folder], ".log"), *dump.files([folder], ".checkpoint"), root / "bootstrap.checkpoint"]
    sections = dump.dump(paths, "--cluster-metadata-decoder")
    records = "\n".join(line for path in dump.files([folder], ".log") for line in sections[str(path)])
    for needed in (r"LeaderChange", r'"type":"FEATURE_LEVEL_RECORD".*"name":"metadata.version"',
                   r'"type":"REGISTER_BROKER_RECORD"', r'"type":"TOPIC_RECORD".*"name":"tools"',
                   r'"type":"PARTITION_RECORD"', r'"type":"CONFIG_RECORD".*"name":"retention.ms","value":"-1"',
                   r'"type":"REMOVE_TOPIC_RECORD"', r'"type":"PRODUCER_IDS_RECORD"'):
        assert re.search(needed, records), f"no {needed} in the metadata log"
    bootstrap = "\n".join(sections[str(root / "bootstrap.checkpoint")])
    assert re.search(r"SnapshotHeader.*metadata\.version.*SnapshotFooter", bootstrap, re.S), bootstrap


def epochs(data):
    ids = {}
    for folder in dump.partitions(data):
        ids.setdefault(folder.name.rpartition("-")[0], set()).add(
            dump.properties(folder / "partition.metadata")["topic_id"])
        if not dump.files([folder], ".log"):
            continue  # Nothing was written to it.
        lines = dump.checkpoint(folder / "leader-epoch-checkpoint")
        if any(path.stat().st_size for path in dump.files([folder], ".log")):
            equal("0", lines[0][1], f"offset where the first epoch of {folder.name} starts")
        assert all(len(line) == 2 for line in lines), f"{folder.name}: {lines}"
    assert all(len(found) == 1 and len(next(iter(found))) == 22 for found in ids.values()), f"topic ids: {ids}"
