"""Sections of report.html on the test customers: intervals, segments, stages, groups, attributes, examples."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from lifecycle.value.costs import SHARES
from training.report.page import Found, grid, image, mapping, new_figure, number

STABLE = 0.6
GAIN, LOSS, TOTAL = "#20bf6b", "#eb3b5a", "#3867d6"
INTERVAL_COLUMNS = ("coverage_80", "pit_coverage_80", "coverage_95", "pit_coverage_95", "interval_score_80",
                    "constant_interval_score_80", "interval_score_95", "constant_interval_score_95")  # fmt: skip


def intervals_section(found: Found, champion: str) -> str:
    """Coverage and sharpness of all models, whether the champion's distribution is right, and its segments."""
    models, segments = mapping(found["models"]), mapping(found["segments"])
    rows = [
        [name, *(mapping(row)[column] for column in INTERVAL_COLUMNS)]
        for name, row in models.items()
    ]
    figure = new_figure(height=2.6)
    axes = figure.subplots()
    shares = found["pit_shares"]
    assert isinstance(shares, list)
    axes.bar((np.arange(len(shares)) + 0.5) / len(shares), shares, 0.9 / len(shares), color=TOTAL)
    axes.axhline(1.0 / len(shares), color="grey", linewidth=0.8)
    axes.set_xlabel(f"where actual spend lies in the distribution predicted by {champion}")
    axes.set_ylabel("share of customers")
    names = list(mapping(next(iter(segments.values()))))
    return (
        "<p>pit_coverage is by the randomised probability integral transform: a closed interval around a customer who "
        "will probably spend nothing covers too often. The interval score counts width and misses, less is better; "
        "constant is that of intervals of one width for everybody.</p>"
        + grid(["model", *INTERVAL_COLUMNS], rows, champion)
        + image(
            figure,
            f"probability integral transform of {champion}, level where the intervals are right",
        )
        + grid(
            ["segment by predicted spend", *names],
            [[name, *mapping(row).values()] for name, row in segments.items()],
        )
    )


def profit_section(found: Found, costs: Found) -> str:
    """Totals of all test customers by part of the value, errors per customer, and where the costs are from."""
    columns = ("predicted", "actual", "bias", "mae", "mae_average_rate")
    rows = [
        [name, *(mapping(part or {}).get(column) for column in columns)]
        for name, part in found.items()
    ]
    return (
        "<p>Not discounted, and without costs that the data do not hold. "
        "mae_average_rate is the error where the shop's average rate of a cost is everybody's.</p>"
        + grid(["part", *columns], rows)
        + grid(
            ["cost", "average rate", "of", "known from"],
            [_cost(name, mapping(cost)) for name, cost in costs.items()],
        )
    )


def _cost(name: str, cost: Found) -> list[object]:
    base = "spend" if name in SHARES else "a customer's day"
    return [
        name,
        cost["rate"],
        base,
        "the data" if cost["is_learned"] else "the recipe: the data hold none",
    ]


def fits_section(found: Found) -> str:
    """Parameters of the buy-till-you-die models, and whether their fits can be trusted."""
    rows: list[list[object]] = []
    seen: list[Found] = []
    for model, parts in found.items():
        for part, fit in mapping(parts).items():
            numbers = mapping(fit)
            if numbers in seen:  # the models share one of order values
                continue
            seen.append(numbers)
            report = mapping(numbers["report"])
            told = [
                _parameter(name, numbers[name], error)
                for name, error in mapping(report["standard_errors"]).items()
            ]
            end = "converged" if report["converged"] else report["message"]
            apart = (report["num_starts"], report["optima_apart"], report["log_likelihood"])
            rows.append([model, part, ", ".join(told), end, *apart])
    header = [
        "model",
        "of",
        "parameters ± standard error",
        "ended",
        "starts",
        "starts ended apart",
        "log-likelihood",
    ]
    return grid(header, rows)


def _parameter(name: str, value: object, error: object) -> str:
    """Standard errors are those of the logarithm, and so relative."""
    return f"{name} {value:.4g} " + (
        f"± {100 * error:.1f} %" if isinstance(error, float) else "(no error known)"
    )


def segments_section(found: Found) -> str:
    """How many customers each value segment has, and what they are worth and spent."""
    segments = mapping(found["segments"])
    total = sum(float(str(mapping(row)["clv"])) for row in segments.values())
    rows = []
    for name, row in segments.items():
        of = {key: float(str(value)) for key, value in mapping(row).items()}
        num = of["num_customers"]
        rows.append([name, int(num), of["clv"] / num, of["clv"] / total if total else None,
                     of["predicted"] / num, of["actual"] / num])  # fmt: skip
    header = [
        "segment",
        "customers",
        "mean value",
        "share of value",
        "mean predicted spend",
        "mean actual spend",
    ]
    return grid(header, rows)


def stages_section(found: Found) -> str:
    """Customers by stage and next best action, and where a stage leads."""
    stages, moved = mapping(found["stages"]), mapping(found["transitions"])
    shares, counts = mapping(moved["shares"]), mapping(moved["num_customers"])
    names = [
        name
        for name in stages
        if name in shares or any(mapping(row)[name] for row in shares.values())
    ]
    table_of_shares = np.array(
        [[mapping(shares[row])[name] for name in names] for row in shares], dtype=float
    )
    counted = grid(["stage", "customers"], list(stages.items()))
    actions = grid(["next best action", "customers"], list(mapping(found["actions"]).items()))
    if not shares:
        return counted + actions
    figure = new_figure(6.0, 3.6)
    axes = figure.subplots()
    axes.imshow(table_of_shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for row, column in np.ndindex(table_of_shares.shape):
        share = table_of_shares[row, column]
        axes.text(
            column,
            row,
            f"{share:.2f}",
            ha="center",
            va="center",
            color="white" if share > 0.6 else "black",
        )
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(shares)), [f"{name} ({counts[name]})" for name in shares])
    axes.set_xlabel(f"{moved['days']} days later")
    return (
        counted
        + actions
        + image(figure, "share of the customers of a stage that is in each stage later")
    )


def groups_section(found: Found) -> str:
    """Groups by the encoder's states, the highest predicted spend first."""
    groups = mapping(found["groups"])
    described = groups["groups"]
    assert isinstance(described, list)
    stability = float(str(groups["stability"]))
    said = (
        "<p>groups.parquet has the group of each customer, from 0 in this order. "
        f"Stability {stability:.2f}, 1 where half of the customers give the same groups, 0 for chance."
    )
    warning = " These are hardly groups: customers differ by degrees." if stability < STABLE else ""
    header = ["customers", "mean predicted spend", "mean actual spend", "what tells them apart"]
    return (
        said + warning + "</p>" + grid(header, [[*mapping(group).values()] for group in described])
    )


def attributes_section(found: Found) -> str:
    """Error and bias by every attribute that the shop declared, protected ones included."""
    rows = [
        [attribute, value, *mapping(row).values()]
        for attribute, groups in mapping(found["attributes"]).items()
        for value, row in mapping(groups).items()
    ]
    return grid(["attribute", "value", "customers", "mean absolute error", "bias"], rows)


def examples_section(found: Found) -> str:
    """From revenue to discounted value, customer by customer."""
    examples = found["examples"]
    assert isinstance(examples, list)
    num_rows = -(-len(examples) // 2)
    figure = new_figure(9.0, 2.2 * num_rows)
    axes = figure.subplots(num_rows, 2, squeeze=False)
    for place, example in zip(axes.flat, examples, strict=False):
        waterfall(place, mapping(example))
    for place in axes.flat[len(examples) :]:
        place.set_axis_off()
    drawn = image(figure, "value of customers from the highest to the lowest, part by part")
    told = {key: label for key, label in (("features", "moved by what is known"), ("events", "moved by events"))
            if any(mapping(example)[key] for example in examples)}  # fmt: skip
    rows = [
        [example["customer_id"], example["clv"], *(_reasons(example[key]) for key in told)]
        for example in map(mapping, examples)
    ]
    return drawn + grid(["customer", "value", *told.values()], rows)


def _reasons(reasons: object) -> str:
    return ", ".join(map(_reason, reasons)) if isinstance(reasons, list) else ""


def _reason(reason: Found) -> str:
    """`recency_days = 12 (+8 %)`."""
    value, effect = reason["value"], reason["effect"]
    known = (
        f" = {number(int(value) if value.is_integer() else value)}"
        if isinstance(value, float)
        else ""
    )
    return f"{reason['feature']}{known}" + (
        f" ({100 * effect:+.0f} %)" if isinstance(effect, float) else ""
    )


def waterfall(axes: Axes, example: Found) -> None:
    """Bars from revenue down by each cost and by discounting to the value."""
    costs = ("refunds", "goods_cost", "service_cost", "marketing_cost", "discounting")
    shown = [name for name in costs if abs(float(str(example[name]))) > 1e-9]
    steps = [float(str(example["revenue"])), *(-float(str(example[name])) for name in shown)]
    starts: Sequence[float] = [0.0, *np.cumsum(steps)[:-1].tolist()]
    heights, bottoms = [*steps, float(str(example["clv"]))], [*starts, 0.0]
    colors = [TOTAL, *(LOSS if step < 0 else GAIN for step in steps[1:]), TOTAL]
    labels = ["revenue", *(name.removesuffix("_cost") for name in shown), "value"]
    bars = axes.bar(range(len(heights)), heights, bottom=bottoms, color=colors)
    axes.bar_label(bars, [f"{height:,.2f}" for height in heights], fontsize=8)
    axes.use_sticky_edges = False
    axes.margins(y=0.2)
    axes.axhline(0.0, color="grey", linewidth=0.8)
    axes.set_xticks(range(len(labels)), labels, fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    title = f"{example['customer_id']}: {example['segment']}, {example['stage']}, {example['next_best_action']}"
    axes.set_title(title, fontsize=8, parse_math=False)
