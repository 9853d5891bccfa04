"""The names of all models, as recipes, metrics.json and artifacts write them."""

PERSISTENCE = "persistence"
# How often customers buy by the first part of the name, for how much by Gamma-Gamma.
BTYD_MODELS = ("bgnbd_gg", "mbgnbd_gg", "pareto_nbd_gg")
BGNBD = "bgnbd_gg"
LIGHTGBM = "lightgbm"
HURDLE = "hurdle"
ZILN = "ziln"
STACK = "stack"
STACK_WITHOUT_LLAMA = "stack_without_llama"
STACK_OVER_BUDGET = "stack_over_budget"  # judged, never served: what a score budget costs
LLAMA = "text_llama"
SEQUENCE_LLAMA = "sequence_llama"
MEMBERS = (LLAMA, SEQUENCE_LLAMA)
# Cheap ones; members come beside them.
VALUE_MODELS = (
    PERSISTENCE,
    *BTYD_MODELS,
    LIGHTGBM,
    HURDLE,
    ZILN,
    STACK,
)
RETRIEVER = "retriever"
RANK_STACK = "rank_stack"
# One of them is served.
RANKERS = (
    "popularity",
    "personal_frequency",
    "decayed_frequency",
    "item_knn",
    "tifu_knn",
    "up_cf",
    "repurchase",
    "als",
    RETRIEVER,
    RANK_STACK,
)
RERANKER = "text_llama_rerank"
RANKING_MEMBERS = (SEQUENCE_LLAMA, RERANKER)  # that are trained
ROUTER = "router"  # each customer's list by the ranker that serves its group
SEGMENT_POPULARITY = "segment_popularity"  # of customers without a purchase
