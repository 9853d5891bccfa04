"""What quality.json says of orders and their lines that may be counted falsely."""

from lifecycle.config import Config


class LongOrders(Config):
    """Orders whose purchases lie more than 60 days apart: an order_id may be no order's."""

    orders: int = 0
    of: int = 0  # orders with an order_id
    example: str | None = None

    def plus(self, other: "LongOrders") -> "LongOrders":
        """Both together."""
        return LongOrders(
            orders=self.orders + other.orders,
            of=self.of + other.of,
            example=self.example if self.example is not None else other.example,
        )


class OrdersOfFiles(Config):
    """Orders told by several files: corrected, exported again, or by lines and once more by sums."""

    orders: int = 0
    of: int = 0  # orders with an order_id
    of_same_money: int = 0  # those that come to the same in each file
    example: str | None = None
    files: tuple[str, ...] = ()  # the first and the last that have the example

    def plus(self, other: "OrdersOfFiles") -> "OrdersOfFiles":
        """Both together."""
        told = self if self.example is not None else other
        return OrdersOfFiles(
            orders=self.orders + other.orders,
            of=self.of + other.of,
            of_same_money=self.of_same_money + other.of_same_money,
            example=told.example,
            files=told.files,
        )


class RepeatedAmounts(Config):
    """Orders of several lines that all have one amount, which may be the order's total."""

    orders: int = 0
    of: int = 0  # orders with an order_id and several lines
    amounts: int = 0  # different ones, at most
    example: str | None = None
    example_amount: float | None = None

    def plus(self, other: "RepeatedAmounts") -> "RepeatedAmounts":
        """Both together."""
        told = self if self.example is not None else other
        return RepeatedAmounts(
            orders=self.orders + other.orders,
            of=self.of + other.of,
            amounts=self.amounts + other.amounts,
            example=told.example,
            example_amount=told.example_amount,
        )


class AmountsByQuantity(Config):
    """Lines of items sold in several quantities, and squares of logarithms around each item's mean."""

    lines: int = 0
    quantity: float = 0.0
    amount: float = 0.0  # as `quantity`, where amount is quantity times price
    beyond_square: float = 0.0  # of amount / quantity^2; 0 where the quantity was taken twice

    def plus(self, other: "AmountsByQuantity") -> "AmountsByQuantity":
        """Both together."""
        return AmountsByQuantity(
            lines=self.lines + other.lines,
            quantity=self.quantity + other.quantity,
            amount=self.amount + other.amount,
            beyond_square=self.beyond_square + other.beyond_square,
        )
