"""Whether ingest reads exports rightly: `python -m benchmarks.ingest_generated [--exports 1000] [--seed 0]`.

Each export is drawn at random: formats, quotes, encodings, ways to write money, times and ids,
repeated rows, rows to leave out. What it must come to is summed up from what was drawn. `false` are
those that ingest reads without complaint and yet tells anything else, broken ones among them;
`refused` those that are broken and refused for it; `refused_wrongly` those that are legal and
refused, or refused for another reason than their flaw; `failed` those that end in a traceback or in
a message of many lines. `--only SEED` shows one export: its recipe and what differs.
"""

import argparse
import logging
import time

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.generated_exports.verdict import KINDS, verdict_of

EVERY_SECONDS = 5.0


def main() -> None:
    """Draw, ingest, compare; print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exports", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    if arguments.only is not None:
        print(verdict_of(arguments.only))
        return
    seeds = range(arguments.seed, arguments.seed + arguments.exports)
    found = judged_seeds(seeds)
    numbers: dict[str, Json] = {"exports": len(seeds)}
    for kind in KINDS:
        numbers[kind] = len(found[kind])
    for kind in KINDS:
        if kind != "right":
            numbers[f"{kind}_seeds"] = found[kind]
    write_evidence("ingest_generated", numbers, seeds=[arguments.seed], data=[])


def judged_seeds(seeds: range) -> dict[str, list[int]]:
    """The seeds of each kind of verdict; what is not right is printed as it is found."""
    found: dict[str, list[int]] = {kind: [] for kind in KINDS}
    started_at = told_at = time.perf_counter()
    for done, seed in enumerate(seeds, start=1):
        verdict = verdict_of(seed)
        found[verdict.kind].append(seed)
        if verdict.kind != "right":
            print(f"seed {seed}: {verdict.kind}: {verdict.first_detail()}", flush=True)
        now = time.perf_counter()
        if now - told_at > EVERY_SECONDS or done == len(seeds):
            told_at = now
            left = (now - started_at) / done * (len(seeds) - done)
            print(f"{done} of {len(seeds)} exports, ETA {left:.0f} s", flush=True)
    return found


if __name__ == "__main__":
    main()
