"""The text a re-ranker reads: one line per item, a prompt per customer, and the prompt of nobody in particular."""

import unicodedata
from collections.abc import Iterable, Mapping

import polars as pl

# Raise it with any change below: priors and fine-tuned weights belong to one version.
RERANK_PROMPT_VERSION = "rerank-1"
# Bounds the tokens of one item; some marketplace titles run to 500 characters.
MAX_ITEM_CHARACTERS = 120
UNTITLED = "untitled item"
# Distinct titles in a customer's prompt, out of so many last purchases.
PROMPT_TITLES = 8
PROMPT_LINES = 60
CUE = "Next they buy:"
NEUTRAL_PROMPT = f"A customer of a shop buys something.\n{CUE}"


def item_text(title: str | None, category: str | None) -> str:
    """How an item is written in prompts and scored: its title, else its category, else UNTITLED.

    One line of at most MAX_ITEM_CHARACTERS, without control characters, so that a title cannot
    start a new line.
    """
    return clean_line(title or "") or clean_line(category or "") or UNTITLED


def item_texts(items: pl.DataFrame) -> dict[str, str]:
    """The `item_text` of each item of a catalogue, by item_id."""
    texts = map(item_text, items["title"], items["category"])
    return dict(zip(items["item_id"], texts, strict=True))


def items_bought(purchases: pl.DataFrame) -> dict[str, list[str]]:
    """Each customer's items, oldest first, which `history_prompt` tells of."""
    ordered = purchases.sort("occurred_at", maintain_order=True)
    return dict(ordered.group_by("customer_id").agg("item_id").iter_rows())


def clean_line(text: str) -> str:
    """Text on one line: control characters and runs of white space become one space, lone surrogates vanish."""
    if not text.isprintable():  # hardly any text: character by character costs more than all else
        text = "".join(_printable(character) for character in text)
    return " ".join(text.split())[:MAX_ITEM_CHARACTERS].rstrip()


def _printable(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Cs":
        return ""
    return " " if kind == "Cc" else character


def history_prompt(item_ids: Iterable[str], texts: Mapping[str, str]) -> str:
    """The prompt of a customer who bought these items, oldest first; those without a text are left out.

    What is trained on, judged and served is written here.
    """
    bought = [texts[item] for item in item_ids if item in texts]
    return shopping_prompt(bought[-PROMPT_LINES:], max_titles=PROMPT_TITLES)


def shopping_prompt(recent_titles: list[str], *, max_titles: int = 12) -> str:
    """The prompt of a customer whose purchases, oldest first, are `recent_titles`.

    Names the `max_titles` most recent distinct ones, newest last. Without any it is NEUTRAL_PROMPT,
    under which every item scores zero: keep the retriever's order for such a customer.
    """
    if max_titles < 1:
        raise ValueError(f"max_titles is {max_titles}; a prompt names at least 1 item")
    newest_first = dict.fromkeys(clean_line(title) for title in reversed(recent_titles))
    titles = [title for title in newest_first if title][:max_titles]
    if not titles:
        return NEUTRAL_PROMPT
    lines = "\n".join(f"- {title}" for title in reversed(titles))
    return f"A customer of a shop bought, oldest first:\n{lines}\n{CUE}"
