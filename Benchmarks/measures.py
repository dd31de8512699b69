# SPDX-License-Identifier: Apache-2.0
"""What is measured, with how many events, and the bar each measure must clear."""

from dataclasses import dataclass

MILLION = 1_000_000
QUERIES = "q0 q1 q2 q3 q4 q5 q7 q8 q9 q11 q12 q14 q15 q16 q17 q18 q19 q20 q21 q22".split()
STATELESS = {"q0", "q1", "q2", "q14", "q21", "q22"}
FROM_JSON = "q0 q2 q5 q8 q11 q17 q18 q20".split()

STATELESS_BAR, STATEFUL_BAR, JSON_BAR, GEOMEAN_BAR = 3.0, 6.0, 4.0, 6.0


@dataclass(frozen=True)
class Measure:
    """One line of the table. A bar is a ratio to Flink, or (`absolute`) million events per CPU-second."""

    name: str
    group: str  # nexmark | json | micro
    job: str  # query, or name of the micro-measure
    flink_events: int
    thalweg_events: int
    bar: float
    absolute: bool = False
    keys: int = 0
    flink_job: str = ""


# name, job, Flink's name for it, keys, million events for Flink and for Thalweg, bar. Event counts differ because a rate
# needs some tenths of a second to be measured in, and a fast side should not be charged with its start.
MICRO = [
    ("pass", "pass", "pass", 1_000_000, 10, 100, 150),
    ("filter", "filter", "filter", 1_000_000, 10, 100, 150),
    ("exchange", "exchange", "exchange", 1_000_000, 10, 40, 50),
    ("count1M", "count", "count", 1_000_000, 5, 20, 12),
    ("count100K", "count", "count", 100_000, 5, 20, 25),
    ("tumbling", "tumbling", "win", 10_000, 5, 20, 20),
    ("join", "join", "join", 10_000, 2, 4, 3),
]


def all_measures(events: int, json_events: int, micro_scale: float) -> list[Measure]:
    """Every measure, in the order of the table."""
    measures = [
        Measure(query, "nexmark", query, events, events, STATELESS_BAR if query in STATELESS else STATEFUL_BAR)
        for query in QUERIES
    ]
    measures += [
        Measure(f"{query} json", "json", query, json_events, json_events, JSON_BAR) for query in FROM_JSON
    ]
    measures += [
        Measure(
            f"micro {name}", "micro", job, int(flink * MILLION * micro_scale), int(thalweg * MILLION * micro_scale),
            bar, absolute=True, keys=keys, flink_job=flink_job)
        for name, job, flink_job, keys, flink, thalweg, bar in MICRO
    ]
    return measures


def select(measures: list[Measure], only: list[str]) -> list[Measure]:
    """The measures that `only` names: by name (`q5`, `q5 json`, `micro pass`, `pass`) or by group (`nexmark`)."""
    if not only:
        return measures
    chosen = [m for m in measures if any(o in (m.name, m.group, m.name.removeprefix("micro ")) for o in only)]
    known = {n for m in measures for n in (m.name, m.group, m.name.removeprefix("micro "))}
    unknown = [o for o in only if o not in known]
    if unknown:
        raise SystemExit(f"no such measure: {', '.join(unknown)}; there are: {', '.join(m.name for m in measures)}")
    return chosen
