# SPDX-License-Identifier: Apache-2.0
"""Apache Kafka and Ottla in turn under the same client, in one run: `./dev bench versus-kafka --help`."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

import brokers
import machine
import measures
import report


def arguments():
    parser = argparse.ArgumentParser(prog="dev bench versus-kafka", description=__doc__)
    parser.add_argument("--rounds", type=int, help="rounds, default 5 (with --quick 2)")
    parser.add_argument("--only", action="append", choices=list(measures.MEASURES), metavar="NAME",
                        help="only this measure, repeatable: " + ", ".join(measures.MEASURES))
    parser.add_argument("--quick", action="store_true", help="short rounds, to see that everything works")
    parser.add_argument("--system", choices=["ottla", "kafka"], help="only one of the two, without ratios")
    parser.add_argument("--output", choices=["table", "json"], default="table")
    parser.add_argument("--directory", default=str(machine.ROOT / "build"), help="where the brokers' data goes")
    parser.add_argument("--touch-gib", type=float, default=3, help="memory touched and freed before each timed step")
    parser.add_argument("--programs", default=str(machine.ROOT / "build/bench"), help="where ottla and ottla_load are")
    return parser.parse_args()


def programs_of(options):
    found = {"ottla": os.path.join(options.programs, "ottla"), "load": os.path.join(options.programs, "ottla_load"),
             "jars": ""}
    if options.system != "ottla":
        subprocess.run([brokers.KAFKA, "install"], check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        found["jars"] = subprocess.run([brokers.KAFKA, "jars"], check=True, stdout=subprocess.PIPE,
                                       text=True).stdout.strip()
    return found


def say(text):
    print(text, file=sys.stderr, flush=True)


def one_round(bench, chosen, number):
    """Every measure for every contestant; who goes first changes from round to round."""
    results = {}
    for name, contestants in chosen.items():
        results[name] = {}
        for contestant in contestants if number % 2 == 0 else reversed(contestants):
            try:
                found = measures.MEASURES[name][0](bench, contestant)
            except (measures.Failed, OSError, subprocess.SubprocessError) as problem:
                say(f"round {number + 1} {name} {contestant} FAILED: {problem}")
                continue
            results[name][contestant] = found
            shown = ", ".join(f"{key} {report.number(value)}" for key, value in found.items())
            say(f"round {number + 1} {name} {contestant}: {shown}")
    return results


def main():
    options = arguments()
    programs = programs_of(options)
    chosen = {}
    for name in options.only or measures.MEASURES:
        wanted = options.system or ""
        chosen[name] = [one for one in measures.MEASURES[name][1] if one.startswith(wanted)]
    parent = tempfile.mkdtemp(prefix="versus-", dir=options.directory)
    bench = measures.Bench(programs, parent, options.quick, options.touch_gib)
    about = machine.facts(parent, programs["jars"])
    rounds = []
    try:
        for number in range(options.rounds or (2 if options.quick else 5)):
            rounds.append(one_round(bench, chosen, number))
    except KeyboardInterrupt:
        say("interrupted: what follows is from the rounds so far")
    finally:
        bench.close()
        shutil.rmtree(parent, ignore_errors=True)
    rows = report.summarize(rounds, chosen)
    about["load_after"] = os.getloadavg()[0]
    if options.output == "json":
        print(json.dumps({"machine": about, "rounds": rounds, "summary": rows}, indent=1))
    else:
        print("\n".join(f"{key}: {value}" for key, value in about.items()))
        print(report.table(rows))
    complete = all(one.get(name, {}).get(contestant) for one in rounds for name, all_of in chosen.items()
                   for contestant in all_of)
    return 0 if rounds and complete else 1


if __name__ == "__main__":
    sys.exit(main())
