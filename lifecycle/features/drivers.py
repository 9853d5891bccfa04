"""What features tell about customers, in the words of those who act on it."""

from functools import cache
from itertools import product

from lifecycle.features.attributes import PREFIX
from lifecycle.features.numbers import CONTACT_KINDS

DRIVERS = {  # by how the names of their features begin; the first that fits
    "rhythm": ("recency", "btyd_recency", "mean_gap", "std_gap", "btyd_active"),
    "tenure": ("tenure", "known_days", "btyd_age"),
    "costs": (
        "total_refunded",
        "total_cancelled",
        "total_goods",
        "total_service",
        "total_marketing",
        "refund_",
        "support_",
    ),
    "discounts": ("total_discount", "discount"),
    "range": ("mean_lines", "num_distinct", "category_share"),
    "prices": ("mean_unit_price", "total_quantity"),
    "season": ("year_ago",),
    "frequency": ("orders_", "num_order", "btyd_frequency", "btyd_orders"),
    "spend": (
        "spend_",
        "total_spend",
        "last_order_",
        "btyd_spend",
        "mean_order",
        "std_order",
        "max_order",
        "btyd_order_value",
    ),
    "contacts": tuple(f"{kind}_" for kind in CONTACT_KINDS),
    "attributes": (PREFIX,),
}
DRIVER_NAMES = tuple(f"{name}_{way}" for name, way in product(DRIVERS, ("up", "down")))


@cache
def driver_of(feature: str) -> str:
    """The driver that a feature belongs to."""
    return next(name for name, beginnings in DRIVERS.items() if feature.startswith(beginnings))
