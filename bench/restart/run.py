# SPDX-License-Identifier: Apache-2.0
"""How long a broker takes from exec to the first record read after kill -9 under full load, with so much on disk.

One broker (Ottla, or Apache Kafka with --system kafka) is filled once; then each round loads it, kills it and starts it
again with a client already knocking. `answered` is the first connection taken, `read` the first old record, `written`
the first new one. The segments are as large as the topic's settings let them grow, so with few partitions most of the
data lies in active segments. With --build several programs start on the same directory in turn, each as often.
./dev bench restart --help
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "versus_kafka"))
import brokers  # noqa: E402  (needs the path above)
import machine  # noqa: E402
import measures  # noqa: E402

TOPIC = "filled"
GIB = 2**30
FILL_SECONDS = 5
# What must stay free for whoever else uses the disk.
SPARE = 10 * GIB


def arguments():
    parser = argparse.ArgumentParser(prog="dev bench restart", description=__doc__)
    parser.add_argument("--gib", type=float, default=10, help="on disk before the first round (default 10)")
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--segment-bytes", type=int, default=GIB, help="segment.bytes of the topic")
    parser.add_argument("--batch-bytes", type=int, default=65536)
    parser.add_argument("--idempotent", action="store_true", help="the load has producer ids and sequences")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--load-seconds", type=float, default=3, help="full load before each kill")
    parser.add_argument("--cold", action="store_true", help="drop the page cache before each start (needs root)")
    parser.add_argument("--system", choices=["ottla", "kafka"], default="ottla")
    parser.add_argument("--build", action="append", default=[], metavar="NAME=PROGRAM",
                        help="compare these builds of Ottla; the first round is that of the first one")
    parser.add_argument("--override", action="append", default=[], metavar="KEY=VALUE", help="of Ottla's settings")
    parser.add_argument("--output", choices=["table", "json"], default="table")
    parser.add_argument("--log", action="store_true", help="print what the broker logged in each start")
    parser.add_argument("--directory", default=str(machine.ROOT / "build"), help="where the broker's data goes")
    parser.add_argument("--programs", default=str(machine.ROOT / "build/bench"), help="where ottla and ottla_load are")
    return parser.parse_args()


def say(text):
    print(text, file=sys.stderr, flush=True)


def make(options, parent):
    programs = {"ottla": os.path.join(options.programs, "ottla"),
                "load": os.path.join(options.programs, "ottla_load"), "jars": ""}
    if options.system == "kafka":
        programs["jars"] = subprocess.run([brokers.KAFKA, "jars"], check=True, stdout=subprocess.PIPE,
                                          text=True).stdout.strip()
        broker = brokers.Kafka(parent, programs)
    else:
        broker = brokers.Ottla(parent, programs, options.override)
    broker.prepare()
    return broker, measures.Bench(programs, parent, quick=False, touch_gib=0)


def stored(broker):
    """(bytes that the files of the data directory take on the disk, how many files)."""
    taken = count = 0
    for folder, _, names in os.walk(os.path.join(broker.directory, "data")):
        for name in names:
            try:
                taken += os.stat(os.path.join(folder, name)).st_blocks * 512
                count += 1
            except FileNotFoundError:
                pass  # Renamed or deleted meanwhile.
    return taken, count


def options_of_load(options):
    in_flight = max(8, min(64, options.partitions // 4))
    words = ["--partitions", options.partitions, "--batch-bytes", options.batch_bytes, "--connections", 4,
             "--in-flight", in_flight, "--config", f"segment.bytes={options.segment_bytes}"]
    return words + (["--idempotent"] if options.idempotent else [])


def fill(options, bench, broker):
    wanted = int(options.gib * GIB)
    while (have := stored(broker)[0]) < wanted:
        free = shutil.disk_usage(broker.directory).free
        if free < SPARE:
            raise measures.Failed(f"only {free // GIB} GiB are free in {broker.directory}")
        found = bench.load(broker, "produce", TOPIC, "--seconds", FILL_SECONDS, *options_of_load(options))
        if found["errors"]:
            raise measures.Failed(f"{found['errors']} errors while it fills, the last one {found['last_error']}")
        if not found["bytes"]:
            raise measures.Failed("nothing was written while it fills")
        say(f"{have / GIB:.1f} GiB on disk, {found['mb_per_s']:.0f} MB/s")


def log_size(broker):
    return os.path.getsize(os.path.join(broker.directory, "broker.log"))


def log_since(broker, at):
    with open(os.path.join(broker.directory, "broker.log"), encoding="utf-8", errors="replace") as file:
        file.seek(at)
        return file.read()


def contestants(options, broker):
    """(name, program) in the order of their turns."""
    named = [tuple(word.split("=", 1)) for word in options.build]
    return named or [(broker.name, broker.programs["ottla"] if options.system == "ottla" else "")]


def one_round(options, bench, broker, program):
    writer = bench.start_load(broker, "produce", TOPIC, "--seconds", 60, *options_of_load(options))
    time.sleep(1 + options.load_seconds)
    broker.kill()
    writer.kill()
    writer.communicate()
    if options.cold:
        subprocess.run(["sync"], check=True)
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="ascii")
    at = log_size(broker)
    knocking = bench.start_load(broker, "reread", TOPIC, "--partitions", 1, "--patience", 120)
    time.sleep(0.3)  # The client is up and refused: its own start is not counted.
    if program:
        broker.programs = broker.programs | {"ottla": program}
    began = broker.start()
    found = bench.figures(knocking)
    took = {key: (found[f"{key}_ns"] - began) / 1e6 for key in ("answered", "read", "written")}
    if options.log:
        say(log_since(broker, at).rstrip())
    return took


def summary(rounds):
    return {key: {"best": min(one[key] for one in rounds), "median": statistics.median(one[key] for one in rounds),
                  "worst": max(one[key] for one in rounds)} for key in rounds[0]}


def main():
    options = arguments()
    parent = tempfile.mkdtemp(prefix="restart-", dir=options.directory)
    rounds, about, broker, bench = {}, machine.facts(parent, ""), None, None
    try:
        broker, bench = make(options, parent)
        broker.start()
        bench.load(broker, "first", "early", "--partitions", 1)
        fill(options, bench, broker)
        for number in range(options.rounds):
            for name, program in contestants(options, broker):
                took = one_round(options, bench, broker, program)
                rounds.setdefault(name, []).append(took)
                say(f"round {number + 1}: {name}: " + ", ".join(f"{key} {value:.0f} ms" for key, value in took.items()))
        about["stored_gib"] = round(stored(broker)[0] / GIB, 1)
        about["files"] = stored(broker)[1]
    except measures.Failed as problem:
        say(f"FAILED: {problem}")
        return 1
    finally:
        if bench:
            bench.close()
        if broker:
            broker.remove()
        shutil.rmtree(parent, ignore_errors=True)
    shown = ("system", "partitions", "segment_bytes", "batch_bytes", "idempotent", "cold", "override")
    about |= {key: getattr(options, key) for key in shown}
    if options.output == "json":
        summaries = {name: summary(one) for name, one in rounds.items()}
        print(json.dumps({"machine": about, "rounds": rounds, "summary": summaries}, indent=1))
    else:
        print("\n".join(f"{key}: {value}" for key, value in about.items()))
        print(f"\nms from exec to the first ...   best  median   worst  (of {options.rounds} rounds)")
        for name, one in rounds.items():
            for key, row in summary(one).items():
                print(f"{name + ': ' + key:28} {row['best']:7.0f} {row['median']:7.0f} {row['worst']:7.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
