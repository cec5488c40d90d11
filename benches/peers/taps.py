"""Moves the same vendors with the Singer taps for Sage Intacct and with this workspace, and compares.

Every candidate reads from a gateway of its own (`intacct-sync-benches --part gateway`) over loopback
and writes a file of JSON lines: the taps through target-jsonl, ours through the whole pipeline.

Install the taps first, outside of the project, each into a virtual environment of its own:

    pip install git+https://github.com/hotgluexyz/tap-intacct
    pip install git+https://github.com/MeltanoLabs/tap-intacct
    pip install target-jsonl

Then, from the root of the workspace:

    cargo build --release -p intacct-sync-benches
    python3 benches/peers/taps.py --tap hotglue=ENV/bin/tap-intacct \
        --tap meltano=ENV/bin/tap-intacct --target ENV/bin/target-jsonl
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

# The vendors' stream has this name in both taps.
STREAM = "accounts_payable_vendors"
# What the taps ask for at once; they cannot be told otherwise.
PAGE = 1_000


@dataclass
class Usage:
    """What one run used. CPU is user and system time; of two processes, the sum."""

    records: int
    wall: float
    cpu: float
    peak: float

    def row(self, name):
        micros = self.cpu / self.records * 1e6
        return (
            f"| {name} | {self.wall:.2f} | {self.records / self.wall:,.0f} | {micros:,.1f} "
            f"| {self.peak / 2**20:.0f} |"
        )


class Gateway:
    """A paced gateway in its own process."""

    def __init__(self, bench, records, pace):
        round_trip, work = pace
        arguments = [str(n) for n in (records, round_trip, work, 0, 1_000)]
        self.process = subprocess.Popen(
            [bench, "--part", "gateway", *arguments], stdout=subprocess.PIPE, text=True
        )
        self.url = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def ours(bench, records, pace, at_once, audit="audit", into="lines"):
    with Gateway(bench, records, pace) as gateway, tempfile.TemporaryDirectory() as folder:
        arguments = [gateway.url, records, into, audit, PAGE, at_once, Path(folder) / "out"]
        line = subprocess.run(
            [Path(bench).with_name("part-mover"), *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
    moved, wall, cpu, peak = map(int, line.split())
    return Usage(moved, wall / 1e9, cpu / 1e9, peak)


def tapped(bench, tap, target, records, pace):
    with Gateway(bench, records, (0, 0)) as gateway, tempfile.TemporaryDirectory() as folder:
        catalog = discover(tap, gateway.url, Path(folder))
    with Gateway(bench, records, pace) as gateway, tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write(folder / "catalog.json", catalog)
        write(folder / "tap.json", settings(gateway.url))
        write(folder / "target.json", {"destination_path": folder.as_posix(), "do_timestamp_file": False})
        begun = time.monotonic()
        from_tap = subprocess.Popen(
            [tap, "--config", folder / "tap.json", "--catalog", folder / "catalog.json"],
            stdout=subprocess.PIPE,
            stderr=open(folder / "tap.log", "wb"),
        )
        into_file = subprocess.Popen(
            [target, "--config", folder / "target.json"],
            stdin=from_tap.stdout,
            stdout=subprocess.DEVNULL,
            stderr=open(folder / "target.log", "wb"),
        )
        from_tap.stdout.close()
        used = [os.wait4(process.pid, 0) for process in (from_tap, into_file)]
        wall = time.monotonic() - begun
        if any(status for _, status, _ in used):
            logs = [(folder / name).read_text()[-2_000:] for name in ("tap.log", "target.log")]
            raise SystemExit(f"{tap} failed:\n" + "\n".join(logs))
        written = sum(
            sum(1 for _ in file.open("rb")) for file in folder.glob(f"{STREAM}*.jsonl")
        )
    if written != records:
        raise SystemExit(f"{tap} wrote {written} of {records} records")
    cpu = sum(usage.ru_utime + usage.ru_stime for _, _, usage in used)
    # Linux counts in units of 1024 bytes.
    peak = sum(usage.ru_maxrss for _, _, usage in used) * 1024
    return Usage(written, wall, cpu, peak)


def discover(tap, url, folder):
    """The tap's own catalogue, with the vendors chosen and nothing else."""
    write(folder / "tap.json", settings(url))
    found = subprocess.run(
        [tap, "--config", folder / "tap.json", "--discover"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    ).stdout
    catalog = json.loads(found)
    for stream in catalog["streams"]:
        chosen = stream["tap_stream_id"] == STREAM
        stream["schema"]["selected"] = chosen
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = chosen
    catalog["streams"] = [s for s in catalog["streams"] if s["tap_stream_id"] == STREAM]
    return catalog


def settings(url):
    return {
        "api_url": url,
        "company_id": "DEMO",
        "sender_id": "sim-sender",
        "sender_password": "sim-sender-password",
        "user_id": "sim-user",
        "user_password": "sim-user-password",
        "start_date": "2023-12-31T00:00:00Z",
    }


def write(path, content):
    path.write_text(json.dumps(content))


def middle(runs):
    """The run whose wall time is the median."""
    wall = statistics.median_low(run.wall for run in runs)
    return next(run for run in runs if run.wall == wall)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tap", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--target", metavar="PATH")
    parser.add_argument("--bench", default="target/release/intacct-sync-benches", metavar="PATH")
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=5, help="of ours; the taps run once")
    asked = parser.parse_args()

    head = "| pipeline | wall s | records/s | CPU µs a record | peak MiB |\n|---|---:|---:|---:|---:|"
    ratios = []
    for title, pace in (("no waiting", (0, 0)), ("L 50 ms, S 300 ms", (50, 300))):
        print(f"\n{asked.records:,} vendors, {title}\n\n{head}", flush=True)
        runs = 1 if pace[1] else asked.runs
        mine = {}
        for at_once in (1, 2):
            all_runs = [ours(asked.bench, asked.records, pace, at_once) for _ in range(runs)]
            mine[at_once] = middle(all_runs)
            print(mine[at_once].row(f"ours, audit on, {at_once} at once"), flush=True)
        for name, tap in (entry.split("=", 1) for entry in asked.tap):
            theirs = tapped(asked.bench, tap, asked.target, asked.records, pace)
            print(theirs.row(f"{name} tap, target-jsonl"), flush=True)
            own = mine[1]
            if pace[1]:
                ratios.append(("X4", name, "times as fast", theirs.wall / own.wall, "≥ 2.5"))
                two = theirs.wall / mine[2].wall
                ratios.append(("X4", name, "times as fast, 2 at once", two, "≥ 4.5"))
            else:
                ratios.append(("X1", name, "times the records/s", theirs.wall / own.wall, "≥ 50"))
                ratios.append(("X2", name, "times less CPU", theirs.cpu / own.cpu, "≥ 50"))
                ratios.append(("X3", name, "of the memory", own.peak / theirs.peak, "≤ 0.25"))
        if pace[1]:
            bound = asked.records / PAGE * sum(pace) / 1e3
            ratios.append(("X4", "-", "times the gateway's time", mine[1].wall / bound, "≤ 1.03"))
    print("\n| goal | beside | what | floor | measured |\n|---|---|---|---:|---:|")
    for goal, name, what, figure, floor in ratios:
        print(f"| {goal} | {name} | {what} | {floor} | {figure:.3g} |")


if __name__ == "__main__":
    main()
