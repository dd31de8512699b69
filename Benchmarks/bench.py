#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Thalweg and Apache Flink side by side: every measure on both, in turn, in one session, and one table.

Figures are million events per CPU-second (user + system, all threads), best of the repetitions. Flink runs once per
measure before it counts, so that its code is compiled; Thalweg's figure includes its process's start.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import measures as catalogue
from engines import HERE, Failure, Flink, Run, Thalweg
from measures import Measure


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    build = HERE.parent / ".build/release"
    parser.add_argument("--thalweg", default=str(build / "thalweg"), metavar="PATH", help="the thalweg program")
    parser.add_argument("--bench", default=str(build / "thalweg-bench"), metavar="PATH", help="the micro program")
    parser.add_argument("--only", default="", help="measures or groups, by commas: q5,q8,json,pass,'q5 json'")
    parser.add_argument("--events", type=int, default=2_000_000, help="events per query (default 2 million)")
    parser.add_argument("--json-events", type=int, default=1_000_000, help="events in the JSON file")
    parser.add_argument("--micro-scale", type=float, default=1.0, help="factor on the events of the micro-measures")
    parser.add_argument("--reps", type=int, default=3, help="counted repetitions per measure and side")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--timeout", type=float, default=300, help="seconds per run")
    parser.add_argument("--no-flink", action="store_true", help="compare with stored Flink figures, marked with *")
    parser.add_argument("--no-thalweg", action="store_true", help="run Flink alone, to store its figures")
    parser.add_argument("--work", default=str(HERE / ".work"), help="folder for downloads, inputs and logs")
    parser.add_argument("--json", metavar="FILE", help="also write every run to this file")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a bar is missed")
    return parser.parse_args()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ---- input


def json_input(options: argparse.Namespace, work: Path) -> Path:
    """The folder with `events/part-0.jsonl`, made once per seed and size."""
    folder = work / f"json-{options.seed}-{options.json_events}"
    file = folder / "events/part-0.jsonl"
    if file.exists():
        return folder
    say(f"writing {options.json_events} events as JSON lines")
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    jar = work / "flink/pyflink/lib/nexbench.jar"
    if jar.exists():
        scratch = folder / "scratch"
        command = ["java", "-cp", str(jar), "nexbench.NexmarkGen", str(options.seed), str(options.json_events)]
        subprocess.run([*command, str(scratch), "jsonl", "1"], check=True)
        (scratch / "events/part-0.jsonl").rename(file)
        (scratch / "events").rmdir()
        scratch.rmdir()
    else:
        command = [options.thalweg, "nexmark", "generate", "--events", str(options.json_events)]
        subprocess.run([*command, "--seed", str(options.seed), "--format", "json", "-o", str(part)], check=True)
        part.rename(file)
    return folder


# ---- stored Flink figures


def stored_figures(work: Path) -> tuple[dict, str]:
    """The last run's figures, or those that come with the sources."""
    last = work / "flink-last.json"
    file = last if last.exists() else HERE / "flink/stored.json"
    content = json.loads(file.read_text())
    return content["measures"], content["origin"]


def store_figures(work: Path, rows: list[dict]) -> None:
    file = work / "flink-last.json"
    old = json.loads(file.read_text())["measures"] if file.exists() else {}
    new = {row["measure"].name: row["flink"].as_json() for row in rows if row.get("flink")}
    origin = f"this machine, last run {time.strftime('%Y-%m-%d %H:%M')}"
    file.write_text(json.dumps({"origin": origin, "measures": {**old, **new}}, indent=1) + "\n")


# ---- running


def attempt(side: str, what, row: dict) -> None:
    """Runs one side once; keeps the run, or the reason why there is none."""
    try:
        run: Run = what()
    except Failure as failure:
        row.setdefault("failures", {})[side] = str(failure)
        say(f"  {side} failed: {failure}")
        return
    row.setdefault(f"{side}_runs", []).append(run)
    say(f"  {side:8} {run.rate:9.3f} M/CPU-s  cpu {run.cpu:7.3f} s  wall {run.wall:7.3f} s  rss {run.rss_mb:6.0f} MB")


def measure_all(options: argparse.Namespace, chosen: list[Measure], work: Path) -> list[dict]:
    flink = None if options.no_flink else Flink(work, options.timeout)
    thalweg = None if options.no_thalweg else Thalweg(options.thalweg, options.bench, options.timeout)
    rows = []
    try:
        if flink:
            say("starting Flink")
            flink.start()
        folder = json_input(options, work) if any(m.group == "json" for m in chosen) else work
        for measure in chosen:
            say(f"{measure.name}")
            row: dict = {"measure": measure}
            rows.append(row)

            def flink_run(measure=measure) -> Run:
                return flink.run(measure, options.seed, folder)

            def thalweg_run(measure=measure) -> Run:
                return thalweg.run(measure, options.seed, folder / "events/part-0.jsonl")

            if flink:
                try:
                    flink_run()
                except Failure:
                    pass  # the counted runs will say why
            for _ in range(options.reps):
                if flink and "flink" not in row.get("failures", {}):
                    attempt("flink", flink_run, row)
                    if "flink" in row.get("failures", {}):
                        say("restarting Flink")
                        flink.stop()
                        flink.start()
                if thalweg and "thalweg" not in row.get("failures", {}):
                    attempt("thalweg", thalweg_run, row)
    finally:
        if flink:
            flink.stop()
    return rows


# ---- verdicts


def judge(options: argparse.Namespace, rows: list[dict], work: Path) -> str:
    """Fills in best runs, ratios and verdicts; returns where stored figures come from."""
    stored, origin = stored_figures(work) if options.no_flink else ({}, "")
    for row in rows:
        measure: Measure = row["measure"]
        for side in ("flink", "thalweg"):
            runs = row.get(f"{side}_runs")
            row[side] = min(runs, key=lambda run: run.cpu) if runs else None
        row["flink_rate"] = row["flink"].rate if row["flink"] else None
        if row["flink_rate"] is None and measure.name in stored:
            row["flink_rate"] = stored[measure.name]["m_events_per_cpu_s"]
            row["stored"] = True
        rate = row["thalweg"].rate if row["thalweg"] else None
        row["ratio"] = rate / row["flink_rate"] if rate and row["flink_rate"] else None
        figure = rate if measure.absolute else row["ratio"]
        row["ok"] = None if figure is None else figure >= measure.bar
    return origin


def geometric_mean(rows: list[dict], group: str) -> float | None:
    ratios = [row["ratio"] for row in rows if row["measure"].group == group]
    if not ratios or any(ratio is None for ratio in ratios):
        return None
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def table(rows: list[dict], origin: str) -> list[str]:
    heads = ["measure", "Flink", "Thalweg", "ratio", "wall F", "wall T", "RSS F", "RSS T", "bar", "verdict"]
    lines = [heads]
    for row in rows:
        measure: Measure = row["measure"]
        flink, thalweg = row["flink"], row["thalweg"]
        failures = row.get("failures", {})
        verdict = {True: "ok", False: "MISSED", None: "failed: " + ", ".join(failures) if failures else "-"}[row["ok"]]
        lines.append([
            measure.name,
            number(row["flink_rate"]) + ("*" if row.get("stored") else ""),
            number(thalweg.rate if thalweg else None),
            number(row["ratio"], 1) + ("x" if row["ratio"] else ""),
            number(flink.wall / flink.events * 1e6 if flink else None, 3),
            number(thalweg.wall / thalweg.events * 1e6 if thalweg else None, 3),
            number(flink.rss_mb if flink else None, 0),
            number(thalweg.rss_mb if thalweg else None, 0),
            f"{measure.bar:g} M/s" if measure.absolute else f"{measure.bar:g}x",
            verdict,
        ])
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    text = []
    for index, line in enumerate(lines):
        padded = enumerate(zip(line, widths))
        cells = [cell.ljust(width) if i in (0, len(heads) - 1) else cell.rjust(width) for i, (cell, width) in padded]
        text.append("  ".join(cells).rstrip())
        if index == 0:
            text.append("  ".join("-" * width for width in widths))
    text.append("")
    text.append("Flink, Thalweg: million events per CPU-second; wall: seconds per million events; RSS: peak, MB.")
    if origin:
        text.append(f"* stored figure, not measured in this run ({origin}).")
    return text


def machine() -> dict:
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.platform(), "load": os.getloadavg()[0]}


def main() -> int:
    options = arguments()
    only = [name.strip() for name in options.only.split(",") if name.strip()]
    chosen = catalogue.select(
        catalogue.all_measures(options.events, options.json_events, options.micro_scale), only)
    work = Path(options.work).resolve()
    work.mkdir(parents=True, exist_ok=True)
    before = machine()
    if before["load"] > 0.5 * before["cores"]:
        say(f"warning: the machine is busy (load {before['load']:.1f}); figures will be too low and will vary")
    rows = measure_all(options, chosen, work)
    origin = judge(options, rows, work)
    is_full_size = (options.events, options.json_events, options.micro_scale) == (2_000_000, 1_000_000, 1.0)
    if not options.no_flink and is_full_size:
        store_figures(work, rows)

    after = os.getloadavg()[0]
    print(f"{before['cpu']}, {before['cores']} cores, load {before['load']:.1f} before and {after:.1f} after")
    print(f"best of {options.reps}, seed {options.seed}\n")
    print("\n".join(table(rows, origin)))
    mean = geometric_mean(rows, "nexmark")
    is_whole = sum(row["measure"].group == "nexmark" for row in rows) == len(catalogue.QUERIES)
    if mean is not None:
        bar = catalogue.GEOMEAN_BAR
        verdict = ("ok" if mean >= bar else "MISSED") if is_whole else "not all queries"
        print(f"geometric mean over {'the 20' if is_whole else 'these'} queries: {mean:.2f}x (bar {bar:g}x): {verdict}")
    mean_json = geometric_mean(rows, "json")
    if mean_json is not None:
        print(f"geometric mean from JSON lines: {mean_json:.2f}x")
    cleared = sum(row["ok"] is True for row in rows)
    print(f"{cleared} of {len(rows)} bars cleared")

    if options.json:
        Path(options.json).write_text(json.dumps({
            "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "machine": before, "seed": options.seed,
            "repetitions": options.reps, "geometric_mean": mean, "stored_flink": origin or None,
            "measures": [{
                "name": row["measure"].name, "group": row["measure"].group, "bar": row["measure"].bar,
                "absolute": row["measure"].absolute, "flink_m_events_per_cpu_s": row["flink_rate"],
                "flink_is_stored": row.get("stored", False), "ratio": row["ratio"], "ok": row["ok"],
                "failures": row.get("failures", {}),
                "flink": [run.as_json() for run in row.get("flink_runs", [])],
                "thalweg": [run.as_json() for run in row.get("thalweg_runs", [])],
            } for row in rows],
        }, indent=1) + "\n")
    missed = cleared < len(rows) or (is_whole and mean is not None and mean < catalogue.GEOMEAN_BAR)
    return 1 if options.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main())
