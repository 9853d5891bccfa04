"""A whole export by its seed: files on disk, the recipe for them, and their rows with what becomes of each."""

import random
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path

import yaml

from benchmarks.harness.generated_exports.events import Shop
from benchmarks.harness.generated_exports.files import write_source
from benchmarks.harness.generated_exports.flaws import CONTRADICTION, Flaw, spoiled
from benchmarks.harness.generated_exports.repeats import add_repeats, in_files
from benchmarks.harness.generated_exports.rows import KEPT, Rows, Rules, decide, shares_too_much
from benchmarks.harness.generated_exports.source import OWN_CURRENCY, Source, drawn_source

FLAWED = 0.15  # of the exports; not each has what a flaw needs


@dataclass
class Export:
    """`rows` by the path of their source."""

    seed: int
    recipe: dict[str, object]
    recipe_file: Path
    rules: Rules
    rows: dict[str, Rows]
    flaw: Flaw | None = None  # for which the export must be refused
    files_not_read: list[str] = field(default_factory=list)
    lookups: dict[str, dict[str, str]] = field(default_factory=dict)  # by path of the source


def drawn_export(seed: int, folder: Path) -> Export:
    """The same for the same seed, written below `folder`."""
    draw = random.Random(seed)
    shop = Shop(draw)
    rules = _drawn_rules(shop)
    sources = [drawn_source(shop, "sales", rules, [])]
    if draw.random() < 0.3:
        sold = [row.event for row in sources[0].rows if row.fate == KEPT]
        sources.append(drawn_source(shop, "refunds", rules, sold))
    if draw.random() < 0.3:
        sources.append(drawn_source(shop, "interactions", rules, []))
    draw.shuffle(sources)
    recipe = _recipe(draw, rules)
    export = Export(seed, recipe, folder / "recipe.yaml", rules, {})
    trees = []
    for number, source in enumerate(s for s in sources if s.rows):
        trees.append(_write(source, export, folder / f"source{number}"))
    recipe |= {"sources": trees, "output": str(folder / "data")}
    decide(export.rows.values(), rules)
    if draw.random() < FLAWED:
        tree = draw.choice(trees)
        export.flaw = spoiled(draw, tree, export.rows[str(tree["path"])])
    elif draw.random() < FLAWED and _has_contradictions(export):
        del recipe["on_repeated_id"]
        export.flaw = CONTRADICTION
    export.recipe_file.write_text(yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True))
    return export


def _has_contradictions(export: Export) -> bool:
    rows = [row for source in export.rows.values() for row in source.all()]
    return any(row.fate == "replaced_event_id" for row in rows)


def _drawn_rules(shop: Shop) -> Rules:
    draw = shop.random
    rates: dict[str, dict[date, Decimal]] = {}
    if draw.random() < 0.2:
        change = shop.start + timedelta(days=shop.num_days // 2)
        always = date(1900, 1, 1)
        rates["USD"] = {always: Decimal("0.92")}
        rates["JPY"] = {always: Decimal("0.0064")}
        if draw.random() < 0.5:
            rates["JPY"][change] = Decimal("0.0058")
    first = shop.start + timedelta(days=1) if draw.random() < 0.1 else None
    last = shop.start + timedelta(days=shop.num_days - 2) if draw.random() < 0.1 else None
    shared = None
    if draw.random() < 0.15 and first is None and last is None:
        shared = tuple(draw.sample(shop.customers, draw.choice((0, 1))))
    return Rules(
        missing_amount=draw.choice((None, "drop", "zero")),
        on_repeated_id=draw.choice((None, "latest", "first")),
        shared_ids=shared,
        first_date=first,
        last_date=last,
        rates=rates,
    )


def _recipe(draw: random.Random, rules: Rules) -> dict[str, object]:
    """The keys of the recipe that are of no source."""
    recipe: dict[str, object] = {"quality_html": False}
    if rules.missing_amount is not None:
        recipe["missing"] = {"amount": rules.missing_amount}
    if rules.on_repeated_id is not None:
        recipe["on_repeated_id"] = rules.on_repeated_id
    if rules.shared_ids is not None:
        recipe["shared_ids"] = list(rules.shared_ids)
    for name in ("first_date", "last_date"):
        if getattr(rules, name) is not None:
            recipe[name] = getattr(rules, name)
    if rules.rates:
        recipe["currency"] = OWN_CURRENCY
        recipe["rates"] = {
            code: {since: float(rate) for since, rate in known.items()}
            if len(known) > 1
            else float(next(iter(known.values())))
            for code, known in rules.rates.items()
        }
    if draw.random() < 0.5:
        recipe["num_shards"] = draw.choice((1, 2, 7))
    return recipe


def _write(source: Source, export: Export, folder: Path) -> dict[str, object]:
    """Write a source and take its rows into the export; its part of the recipe."""
    draw = source.draft.random
    for row in source.rows:
        source.render(row)
    add_repeats(source, export.rules)
    files = in_files(source)
    rows = Rows(files, drop_exact=draw.random() < 0.3)
    rows.ids_decide = export.rules.on_repeated_id is not None
    if any(row.event.at is not None and row.event.at.time() != time() for row in source.rows):
        rows.zone = str(source.recipe.get("timezone", "UTC"))
    if len(files) > 1:
        rows.duplicates = draw.choice((None, "keep", "drop"))
        if rows.duplicates is None and shares_too_much(rows):
            rows.duplicates = "keep"
    path, not_read = write_source(source, files, folder)
    tree = {"path": path, **source.recipe}
    if source.form == "csv":
        tree |= source.dialect.recipe()
    if rows.drop_exact:
        tree["drop_exact_duplicates"] = True
    if rows.duplicates is not None:
        tree["duplicates"] = rows.duplicates
    if source.lookup is not None:
        tree |= _write_lookup(source, folder.with_suffix(".cards.csv"))
        export.lookups[path] = source.lookup
    export.rows[path] = rows
    export.files_not_read += not_read
    return tree


def _write_lookup(source: Source, path: Path) -> dict[str, object]:
    """The customers of the cards."""
    assert source.lookup is not None
    on = source.draft.name("card")
    lines = [f'"{on}",holder', *(f"{card},{who}" for card, who in source.lookup.items())]
    path.write_text("\n".join(lines) + "\n")
    lookup = {"path": str(path), "columns": {"Holder of card": "holder"}}
    return {"lookup": lookup, "lookup_on": on}
