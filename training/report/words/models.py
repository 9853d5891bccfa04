"""What models and metrics are called in reports: words in place of the names in metrics.json."""

from collections.abc import Sequence

MODELS = {
    "persistence": ("persistence", "what the customer spent in the last horizon, again"),
    "bgnbd_gg": ("BG/NBD", "buy till you die, with Gamma-Gamma for the value of orders"),
    "mbgnbd_gg": ("MBG/NBD", "BG/NBD in which customers may leave before their second order"),
    "pareto_nbd_gg": ("Pareto/NBD", "buy till you die in which customers leave at any time"),
    "lightgbm": ("LightGBM", "boosted trees on all that is known of a customer"),
    "hurdle": (
        "hurdle model",
        "boosted trees: the chance of any purchase, times the spend of those who buy",
    ),
    "ziln": ("ZILN network", "a small network with a zero-inflated lognormal head"),
    "stack": ("stack", "trees that know what BG/NBD expects, and what joined them"),
    "stack_without_llama": ("stack without LLaMA", "the stack before LLaMA encoders joined"),
    "stack_over_budget": ("stack over budget", "the stack with encoders that are too slow"),
    "text_llama": ("text LLaMA", "a LLaMA that reads the customer as a text"),
    "sequence_llama": ("sequence LLaMA", "a LLaMA that reads the customer's events"),
    "untrained_probe": ("untrained LLaMA", "a linear probe on the base model as it was downloaded"),
    "untrained_probe_same_layers": (
        "untrained LLaMA, same layers",
        "the same on as many layers as the fine-tuned one keeps",
    ),
    "ridge_same_numbers": ("ridge", "ridge regression on the numbers that the text shows"),
    "popularity": ("popularity", "what most customers buy"),
    "personal_frequency": ("personal frequency", "what the customer bought most often"),
    "decayed_frequency": (
        "decayed frequency",
        "what the customer bought most often, old orders counting less",
    ),
    "item_knn": ("item-kNN", "what is bought by the customers of the customer's items"),
    "tifu_knn": ("TIFU-KNN", "what the customer and nearby customers bought most often of late"),
    "up_cf": ("UP-CF", "what the customer and alike customers bought in their last orders"),
    "repurchase": ("repurchase", "what the customer is due to buy again"),
    "als": ("ALS", "factors of items and customers by alternating least squares"),
    "rank_stack": ("stack of rankers", "trees that order what the other rankers propose"),
    "retriever": ("retriever", "what is bought together with what the customer bought"),
    "router": ("router", "each customer's list by the ranker that serves the customer's group"),
    "segment_popularity": (
        "popularity in the segment",
        "what customers buy who share what is known of a newcomer",
    ),
    "text_llama_rerank": (
        "LLaMA re-ranking",
        "what the ranker proposes, also by how likely its titles are",
    ),
}
# Of these people say "the".
COMMON_NOUNS = (
    "hurdle",
    "ziln",
    "stack",
    "stack_without_llama",
    "stack_over_budget",
    "text_llama",
    "sequence_llama",
    "untrained_probe",
    "untrained_probe_same_layers",
    "retriever",
    "rank_stack",
    "router",
)
SAMPLE = "@sample"  # behind the name of a ranker, in metrics.json
METRICS = {
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R²",
    "spearman": "Spearman",
    "gini": "Gini",
    "decile_mape": "error by tenths",
    "top_decile_share": "share of top tenth",
    "bias": "expected / actual",
    "coverage_80": "in 80 % interval",
    "coverage_95": "in 95 % interval",
    "customers_per_second": "customers a second",
    "hr@10": "hit rate at 10",
    "hr@20": "hit rate at 20",
    "recall@10": "recall at 10",
    "recall@20": "recall at 20",
    "ndcg@10": "NDCG at 10",
    "ndcg@20": "NDCG at 20",
    "coverage": "share of catalogue",
    "novelty": "novelty (bits)",
    "diversity": "diversity within lists",
    "repeat_share": "bought before, share of lists",
    "true_repeat_share": "the same, share of what was bought",
    "num_customers": "customers",
}
IN_CURRENCY = ("mae", "rmse")


def model_words(name: str) -> str:
    """What a model is called; of a name that nobody knows, the name with blanks."""
    known = name.removesuffix(SAMPLE)
    told = MODELS[known][0] if known in MODELS else spaced(known)
    return f"{told}, on the sample" if name.endswith(SAMPLE) else told


def in_sentence(name: str) -> str:
    """A model within a sentence: `the stack`, `BG/NBD`."""
    told = model_words(name)
    return f"the {told}" if name.removesuffix(SAMPLE) in COMMON_NOUNS else told


def capital(told: str) -> str:
    """Words as a sentence begins."""
    return told[0].upper() + told[1:]


def metric_words(name: str, currency: str) -> str:
    """What a metric is called, with its unit where it is money."""
    told = METRICS.get(name, spaced(name))
    return f"{told} ({currency})" if name in IN_CURRENCY else told


def spaced(name: str) -> str:
    """A code such as `next_basket` as words."""
    return name.replace("_", " ")


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *before, last = words
    return f"{', '.join(before)} and {last}" if before else last
