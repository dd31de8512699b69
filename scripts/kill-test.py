#!/usr/bin/env python3
"""Kills a running job with SIGKILL at random moments and resumes it, until it ends; then compares what it has
committed with an undisturbed run.

    scripts/kill-test.py --thalweg .build/release/thalweg --kills 200 --query q5,q8 --parallelism 1,3,2

Every run starts from the newest checkpoint, at the next of the given parallelisms. Exit code 1 at the first difference.
"""
import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# The columns that are the key of a result table: each line takes the place of the one before it with the same key.
KEYS = {"q4": [0], "q9": [0], "q15": [0], "q16": [0, 1], "q17": [0, 1], "q18": [0, 1], "q19": [0, 7]}


def fields(line):
    """The fields of a CSV line, as written (quotes kept)."""
    found, start, quoted = [], 0, False
    for index, character in enumerate(line):
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            found.append(line[start:index])
            start = index + 1
    return found + [line[start:]]


def committed(directory, query):
    """The rows that the committed files make up, sorted as in a golden file."""
    rows, table = [], {}
    names = [n for n in os.listdir(directory) if n[0] not in "._"] if os.path.isdir(directory) else []
    for name in sorted(names):
        with open(os.path.join(directory, name), encoding="utf-8", newline="\n") as file:
            for line in file:
                assert line.endswith("\n"), f"{name} ends in the middle of a line"
                line = line[:-1]
                if query in KEYS:
                    row = fields(line)
                    table[tuple(row[k] for k in KEYS[query])] = line
                else:
                    rows.append(line)
    rows += table.values()
    return sorted((row.encode() for row in rows))


def digest(rows):
    sha = hashlib.sha256()
    for row in rows:
        sha.update(row + b"\n")
    return sha.hexdigest()


def deal(path, count):
    """Deals the lines of a file into a directory of files in turn, so that each is a split of the source."""
    folder = path + ".splits"
    os.mkdir(folder)
    with open(path, "rb") as file:
        lines = file.readlines()
    for index in range(count):
        with open(os.path.join(folder, f"{index:05}.jsonl"), "wb") as file:
            file.writelines(lines[index::count])
    return folder


class Trial:
    def __init__(self, options, query, generator):
        self.options, self.query, self.random = options, query, generator
        self.folder = tempfile.mkdtemp(prefix=f"kill-{query}-", dir=options.folder)
        self.starts = 0

    def command(self):
        widths = self.options.parallelism
        width = widths[self.starts % len(widths)]
        command = [
            self.options.thalweg, "nexmark", "run", "--query", self.query, "--input", self.options.input, "--sink",
            f"{self.folder}/out", "--checkpoint-dir", f"{self.folder}/checkpoints", "--checkpoint-interval",
            self.options.interval, "--parallelism", str(width), "--json"]
        if self.options.alignment_timeout:
            command += ["--alignment-timeout", self.options.alignment_timeout]
        # The first start has nothing to go on from; a later one may have been killed before its first checkpoint.
        return command + ["--from", "latest"]

    def run(self, kills, seconds):
        """Starts, kills, starts again...; the last start may end by itself. Returns the number of kills."""
        done = 0
        while True:
            process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.starts += 1
            if done < kills:
                try:
                    process.wait(timeout=self.random.uniform(0.005, seconds))
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    done += 1
            out, err = process.communicate(timeout=120)
            if process.returncode == 0:
                return done
            if process.returncode != -signal.SIGKILL:
                sys.exit(f"{self.query}: exit code {process.returncode} at start {self.starts} in {self.folder}\n"
                         + err.decode())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thalweg", default=".build/release/thalweg")
    parser.add_argument("--query", default="q4,q5,q7,q8,q9,q11,q18", type=lambda text: text.split(","))
    parser.add_argument("--parallelism", default="1", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--kills", default=30, type=int, help="for each query")
    parser.add_argument("--per-run", default=6, type=int, help="kills before a run may come to its end")
    parser.add_argument("--interval", default="100ms")
    parser.add_argument("--alignment-timeout", default="")
    parser.add_argument("--events", default=100_000, type=int)
    parser.add_argument("--input", default="", help="JSON lines; by default they are generated")
    parser.add_argument("--splits", default=1, type=int, help="deal the generated lines into that many files")
    parser.add_argument("--seed", default=1, type=int)
    parser.add_argument("--folder", default=None)
    options = parser.parse_args()
    options.folder = tempfile.mkdtemp(prefix="thalweg-kills-", dir=options.folder)
    if not options.input:
        options.input = f"{options.folder}/events.jsonl"
        subprocess.run([options.thalweg, "nexmark", "generate", "--events", str(options.events), "--seed", "42", "-o",
                        options.input], check=True)
        if options.splits > 1:
            options.input = deal(options.input, options.splits)
    generator = random.Random(options.seed)
    total = 0
    for query in options.query:
        golden = f"{options.folder}/{query}.golden"
        start = time.monotonic()
        subprocess.run([options.thalweg, "nexmark", "run", "--query", query, "--input", options.input, "--golden",
                        golden], check=True)
        seconds = max(0.03, time.monotonic() - start)
        with open(golden, "rb") as file:
            expected = file.read().splitlines()
        done, runs = 0, 0
        while done < options.kills:
            trial = Trial(options, query, generator)
            done += trial.run(min(options.per_run, options.kills - done), seconds * 1.2)
            runs += 1
            rows = committed(f"{trial.folder}/out", query)
            if digest(rows) != digest(expected):
                missing, extra = set(expected) - set(rows), set(rows) - set(expected)
                sys.exit(f"{query}: {len(rows)} rows instead of {len(expected)}, {len(missing)} missing, "
                         f"{len(extra)} too many, seed {options.seed}, see {trial.folder}\n"
                         f"missing {sorted(missing)[:3]}\nextra {sorted(extra)[:3]}")
            shutil.rmtree(trial.folder)
            if runs > options.kills * 20:
                sys.exit(f"{query}: runs end before they can be killed: give more --events")
        total += done
        print(json.dumps({"query": query, "kills": done, "runs": runs, "parallelism": options.parallelism,
                          "equal": True}), flush=True)
    shutil.rmtree(options.folder)
    print(f"{total} kills, every committed output equal to the undisturbed run's")


main()
