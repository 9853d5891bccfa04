"""All measured numbers beside their targets: `python -m benchmarks.table` writes the tables of docs/results.md.

The page is written by hand around a table for each results file, which stands between
`<!-- table: FILE -->` and END. What was not measured yet stands there as such, and so does a
missed target.
"""

import json
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from benchmarks.harness.evidence import RESULTS

PAGE = Path(__file__).parents[1] / "docs" / "results.md"
HEAD = "| what | measured | target | |\n|---|---|---|---|\n"
END = "<!-- end of table -->"


@dataclass(frozen=True)
class Line:
    """A number of a results file, and from where to where it should lie."""

    what: str
    file: str
    key: str  # `a.b.0`: the first of the list b of a
    low: float | str | None = None  # a number, or the key of one in the same file
    high: float | str | None = None


SHOPS = {"journey": "The Complete Journey", "cdnow": "CDNOW"}
COVERAGE = (
    ("80 % intervals' coverage", "coverage_80", 0.78, None),
    ("95 % intervals' coverage", "coverage_95", 0.93, None),
    ("coverage by randomised PIT at 80 %", "pit_coverage_80", 0.77, 0.83),
    ("coverage by randomised PIT at 95 %", "pit_coverage_95", 0.92, 0.98),
)
OF_SHOPS: tuple[tuple[str, str, float | str | None], ...] = (
    ("models of fair bias that are clearly better than the champion in RMSE or Gini", "num_better_rivals", 0),
    ("RMSE of the stack with LLaMA minus that without", "llama_gain.rmse.0", None),
    ("champion's 80 % interval score, beside that of intervals of one width", "interval_score_80",
     "constant_interval_score_80"),
    ("champion's 95 % interval score, beside that of intervals of one width", "interval_score_95",
     "constant_interval_score_95"),
    ("churn, AUROC", "churn.auroc", None),
    ("churn, Brier score", "churn.brier", None),
    ("hidden groups, stability", "groups.stability", None),
)  # fmt: skip
FINAL = ", final shops"
DEVELOPED = ", development shops"
LINES = [
    Line("text LoRA training, tokens/s over a plain Trainer's", "training_speed", "ratio_to_plain_trainer", low=3),
    Line("its share of the machine's matmul peak", "training_speed", "matmul_share", low=0.6),
    Line("its validation loss after as many examples", "training_speed", "val_loss_ours", high="val_loss_plain"),
    Line("two Ray workers' tokens/s over one process with two threads", "worker_scaling",
         "two_workers_over_one_process", low=0.9),
    Line("seconds from command to first step", "worker_scaling", "startup_seconds", high=25),
    Line("share of training time spent on checkpoints", "worker_scaling", "checkpoint_share", high=0.05),
    Line("sequence encoder on the Journey, seconds to its best validation", "sequence_training",
         "seconds_to_best_validation", high=300),
    Line("its padding, share of positions", "sequence_training", "padding_share", high=0.1),
    Line("HR@10, trained without the last two items", "beauty", "hr@10", low=0.088),
    Line("NDCG@10, likewise", "beauty", "ndcg@10", low=0.05),
    Line("HR@10, the last but one learned too", "beauty", "retrained_hr@10", low=0.095),
    Line("NDCG@10, likewise learned", "beauty", "retrained_ndcg@10", low=0.055),
    Line("seconds of training a seed", "beauty", "seconds"),
    Line("seconds of an epoch, all users once", "beauty", "seconds_1x"),
    Line("seconds of an epoch, all users four times", "beauty", "seconds_4x"),
    Line("language adapters, tokens/s by reading a system message of 138 tokens once", "shared_prefix", "long_ratio"),
    Line("the same by the chat template's own 24 tokens", "shared_prefix", "short_ratio"),
    Line("ingest of 1.47 M lines over a plain polars script", "ingest_speed", "ratio_to_polars",
         high=2.04),
    Line("the same with its lines as CSV", "ingest_speed", "ratio_to_polars_csv", high=2.5),
    Line("ingest of 10 M lines, peak GiB", "ingest_speed", "peak_rss_gib_10m", high=2),
    Line("time of ingest at four times the rows over once, the worst of ten shapes", "ingest_shapes", "worst_ratio_4x",
         high=5),
    Line("generated exports that ingest reads falsely and says nothing", "ingest_generated", "false", high=0),
    Line("of how many", "ingest_generated", "exports"),
    Line("BG/NBD, Gamma-Gamma and CLV of 350,000 customers, times as fast as lifetimes", "btyd_speed",
         "fit_ratio_to_lifetimes", low=10),
    Line("summary of a million orders, times as fast as lifetimes", "btyd_speed", "summary_ratio_to_lifetimes", low=5),
    Line("seconds from the orders of a million customers to their values", "btyd_speed", "million.seconds"),
    Line("parameters, largest relative difference to those of lifetimes", "btyd_speed", "max_parameter_difference",
         high=0.01),
    *(
        Line(f"{whose} over BG/NBD's, mean of simulated wholesalers", "wholesaler", key, high=high)
        for whose, key, high in (("champion's RMSE", "champion.rmse_over_bgnbd", 1),
                                 ("champion's MAE", "champion.mae_over_bgnbd", 1),
                                 ("LightGBM's RMSE", "lightgbm.rmse_over_bgnbd", None))
    ),
    *(
        Line(f"{name} of the stack fitted at the cutoff over that of one a horizon older, {shop}", "freshness", key)
        for name, shop, key in (("RMSE", "The Complete Journey", "journey_stack_rmse"),
                                ("MAE", "The Complete Journey", "journey_stack_mae"),
                                ("RMSE", "simulated wholesalers", "wholesalers_stack_rmse"),
                                ("MAE", "simulated wholesalers", "wholesalers_stack_mae"))
    ),
    Line("events acknowledged while parts of the service are killed", "event_log", "events", low=10_000),
    Line("kills, two of them of the whole service", "event_log", "kills", low=12),
    Line("acknowledged events that the log has not", "event_log", "lost", high=0),
    Line("events that it has twice", "event_log", "twice", high=0),
    Line("events/s of the log over a plain SQLite insert of as large groups", "event_log", "ratio_to_plain_sqlite"),
    Line("replicas killed while questions are asked, one every 10 s", "serve_chaos", "kills", low=25),
    Line("questions at 30 % of capacity meanwhile", "serve_chaos", "requests"),
    Line("of them without an answer after three tries", "serve_chaos", "failed", high=0),
    Line("share of them whose first try failed", "serve_chaos", "failed_before_retry_share", high=0.01),
    Line("capacity, questions/s", "serve_chaos", "capacity_per_second"),
    Line("seconds from the start of the service until it is ready", "serve_chaos", "seconds_to_ready"),
    Line("seconds to score a million customers by the stack", "score_speed", "seconds", high=300),
    Line("its peak memory of all processes, GiB", "score_speed", "peak_rss_gib", high=4),
    Line("values of one customer over the bare calls of LightGBM", "predictor_speed", "value_ratio_to_lightgbm_1",
         high=5),
    Line("values of 128 customers over them", "predictor_speed", "value_ratio_to_lightgbm_128", high=3),
    Line("milliseconds a value, one customer", "predictor_speed", "value_ms_1"),
    Line("milliseconds a value, 128 customers", "predictor_speed", "value_ms_128"),
    *(
        Line(f"{metric} of the stack of rankers over {whose}", "journey_basket", f"{key}_over_{end}", low=low)
        for end, whose, low in (("personal", "personal frequency's", 1.08),
                                ("best_baseline", "the best baseline's", 1.03))
        for metric, key in (("recall@20", "recall@20"), ("NDCG@20", "ndcg@20"))
    ),
    Line("50 titles of a customer read by SmolLM2-135M, times as fast as one full fp32 forward each", "rerank_speed",
         "ratio_to_full_forward", low=12),
    Line("customers with the same ten best", "rerank_speed", "same_top_10", low=0.99),
    Line("milliseconds of recommendations a customer, 128 customers", "predictor_speed", "recommend_ms_128", high=2),
    Line("time to find 20 of 100,000 items for 256 customers over one torch product and topk", "retrieval_speed",
         "ratio_to_matmul_topk", high=1.05),
    Line("share of customers with the same 20 items", "retrieval_speed", "same_top_20", low=0.999),
    Line("milliseconds of a whole answer a customer, by what serves", "retrieval_speed", "answer_ms_per_customer",
         high=3),
    Line("known customers, requests/s at 32 connections", "serve_overhead", "known_rps", low=750),
    Line("over those of plain FastAPI with the same bytes", "serve_overhead", "known_rps_ratio_to_fastapi_32",
         low=0.35),
    Line("the same with the header that saves two tasks", "serve_overhead", "known_rps_ratio_with_header"),
    Line("median time at one connection over FastAPI's", "serve_overhead", "known_p50_ratio_to_fastapi_1", high=4),
    Line("the same with the header", "serve_overhead", "known_p50_ratio_with_header"),
    Line("customers by their events, requests/s over FastAPI's around the same predictor", "serve_overhead",
         "computed_rps_ratio_to_fastapi_32", low=0.8),
    Line("customers/s for whom state is made, with explanations", "serve_overhead", "state_customers_per_second"),
    Line("bytes of state a customer", "serve_overhead", "state_bytes_per_customer"),
    *(
        Line(f"{what}{of}", "generalisation", f"{key}{end}", low=low if of == FINAL else None,
             high=high if of == FINAL else None)
        for what, key, low, high in (
            ("champion's RMSE over that of the best rival in hindsight, mean", "mean_rmse_ratio", None, 1.02),
            ("the worst of them", "worst_rmse_ratio", None, 1.1),
            ("its MAE over that of the best rival in hindsight, mean", "mean_mae_ratio", None, None),
            ("totals within 10 % of what came", "share_total_within_10", None, None),
            ("the same at monthly cutoffs of ten seasonal shops of three years", "share_total_within_10_seasonal",
             0.9, None),
            ("the same of superstore", "share_total_within_10_superstore", None, None),
            ("groups of customers whose 80 % intervals cover within the margin", "groups_held_80", None, None))
        for of, end in ((FINAL, ""), (DEVELOPED, "_development"))
    ),
    *(
        Line(f"champion's {name}, The Complete Journey", "value_accuracy-journey", key, low=low, high=high)
        for name, key, low, high in (("MAE", "mae", None, 167), ("Gini", "gini", 0.871, None),
                                     ("R2", "r2", 0.776, None), ("decile MAPE", "decile_mape", None, 0.07),
                                     ("bias", "bias", 0.94, 1.06), *COVERAGE,
                                     ("MAE minus that of LightGBM, upper end of its 90 % interval",
                                      "mae_difference_ci_90.1", None, 0))
    ),
    *(
        Line(f"champion's {name}, CDNOW", "value_accuracy-cdnow", key, low=low, high=high)
        for name, key, low, high in (("MAE", "mae", None, 21), ("RMSE", "rmse", None, 57.5),
                                     ("Gini", "gini", 0.765, None), ("Spearman", "spearman", 0.46, None),
                                     ("decile MAPE", "decile_mape", None, 0.15), ("bias", "bias", 0.92, 1.08),
                                     *COVERAGE)
    ),
    *(
        Line(f"{name}, {label}", f"value_accuracy-{shop}", key, high=high)
        for (shop, label), (name, key, high) in product(SHOPS.items(), OF_SHOPS)
    ),
]  # fmt: skip


def main() -> None:
    """Write the tables into the page."""
    page = PAGE.read_text()
    for file in dict.fromkeys(line.file for line in LINES):
        rows = "".join(f"{row(line)}\n" for line in LINES if line.file == file)
        page = with_table(page, file, HEAD + rows)
    PAGE.write_text(page)


def with_table(page: str, file: str, table: str) -> str:
    """The page with the table of a results file in its place, or at its end with a heading."""
    begin = f"<!-- table: {file} -->\n"
    if begin not in page:
        page += f"\n## {file}\n\n```\npython -m benchmarks.{file}\n```\n\n{begin}{END}\n"
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n{table}\n{END}{rest.partition(END)[2]}"


def row(line: Line) -> str:
    """One row of the table."""
    path = RESULTS / f"{line.file}.json"
    if not path.exists():
        return f"| {line.what} | not measured yet | | |"
    result = json.loads(path.read_text())
    value = _number(result, line.key)
    if value is None:
        return f"| {line.what} | undefined | | |"
    low = _bound(result, line.low)
    high = _bound(result, line.high)
    met = (low is None or value >= low) and (high is None or value <= high)
    bounds = {"at least": low, "at most": high}
    targets = [f"{word} {shown(bound)}" for word, bound in bounds.items() if bound is not None]
    target = " and ".join(targets)
    return f"| {line.what} | {shown(value)} | {target} | {verdict(target, met=met)} |"


def shown(value: float) -> str:
    """As many digits as tell something."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 100 else f"{value:.3g}"


def _bound(result: object, bound: float | str | None) -> float | None:
    return _number(result, bound) if isinstance(bound, str) else bound


def _number(result: object, key: str) -> float | None:
    """None where it is undefined, as is what a champion gains over itself."""
    for name in key.split("."):
        if result is None:
            return None
        result = result[int(name)] if isinstance(result, list) else result[name]  # type: ignore[index]
    return None if result is None else float(result)  # type: ignore[arg-type]


def verdict(target: str, *, met: bool) -> str:
    """Nothing where there is no target."""
    return ("met" if met else "missed") if target else ""


if __name__ == "__main__":
    main()
