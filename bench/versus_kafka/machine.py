# SPDX-License-Identifier: Apache-2.0
"""What the figures were taken on, and the memory and CPU of a process, read from /proc."""
import datetime
import mmap
import os
import pathlib
import platform
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = mmap.PAGESIZE


def first_match(pattern, path):
    found = re.search(pattern, pathlib.Path(path).read_text(), re.MULTILINE)
    return found.group(1).strip() if found else ""


def output_of(*words):
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def facts(directory, kafka_jars):
    """What a reader needs to compare: the machine, both programs, and how busy it was before we began."""
    versions = sorted(name for name in os.listdir(kafka_jars) if re.match(r"kafka_2\.\d+-", name)) if kafka_jars else []
    changes = output_of("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no")
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": first_match(r"^model name\s*:\s*(.*)$", "/proc/cpuinfo"),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(first_match(r"^MemTotal:\s*(\d+)", "/proc/meminfo")) / 1024 / 1024, 1),
        "kernel": platform.release(),
        "system": first_match(r'^PRETTY_NAME="?([^"\n]*)', "/etc/os-release"),
        "file_system": output_of("df", "--output=fstype", directory).split("\n")[-1],
        "java": output_of("java", "-version").split("\n")[0] if kafka_jars else "",
        "kafka": versions[0].rsplit("-", 1)[1][:-len(".jar")] if versions else "",
        "ottla": output_of("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD") + ("+changes" if changes else ""),
        "load_before": os.getloadavg()[0],
    }


def touch_memory(gibibytes):
    """Memory that a virtual machine gave back costs 4-13 us a page when it comes again: whoever is measured
    first would pay for both. A process of its own touches that much and frees it."""
    available = int(first_match(r"^MemAvailable:\s*(\d+)", "/proc/meminfo")) * 1024
    size = int(min(gibibytes * 2**30, available / 3)) // PAGE * PAGE
    if size == 0:
        return
    code = f"import mmap; m = mmap.mmap(-1, {size}); m[::{PAGE}] = b'x' * {size // PAGE}"
    subprocess.run([sys.executable, "-c", code], check=False)


def memory_mib(pid):
    """Resident and proportional set size."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    kib = {name: int(value) for name, value in re.findall(r"^(\w+):\s*(\d+) kB", rollup, re.MULTILINE)}
    return kib["Rss"] / 1024, kib["Pss"] / 1024


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
