"""How currencies are written: names of columns that tell them, codes, signs and names."""

import re
import unicodedata

import polars as pl

# In words of small letters. `cur`, `WAERS` and `RTCUR` are those of SAP and of hurried people.
COLUMN_NAMES = re.compile(
    r"currenc|ccy|\bcurr?(?: ?(?:code|cd|key|iso|sign|symbol))?$|\br[htkwo]cur\b"
    r"|iso ?4217|waer[sk]?\b|w(?:ä|ae|a)hr(?:un)?g|\bwhrg\b|\bdevises?\b|\bdivisa|monnaie|moneda|moeda"
    r"|valuta|valuutta|valiuta|waluta|\bm[eě]na\b|p[eé]nznem|deviza|para birimi|d[oö]viz"
    r"|валют|νόμισμα|عملة|通貨|货币|貨幣|币种|幣別|통화"
)
# Of such names those whose numbers are no codes.
NO_CODE_NAMES = re.compile(
    r"amount|amt|price|total|rate|value|sum|balance|betrag|kurs|exchange|factor|unit|ratio|scale|decimal|digit|precision"
    r"|exponent|quantity|qty",
    re.IGNORECASE,
)
NUMBERED = r"^\d{1,3}$"  # as in ISO 4217 (978 is EUR), or in a table of the shop's own
COMMON = frozenset(
    "AED ARS AUD BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP GBX GBp HKD HUF IDR ILS ILa INR ISK JPY "
    "KES KRW KWD MAD MXN MYR NGN NOK NZD PEN PHP PKR PLN QAR RON RUB SAR SEK SGD THB TRY TWD UAH USD "
    "VND ZAR ZAc".split()
)
# Words and airports alike: a column that holds nothing else need not tell currencies.
DOUBTFUL = frozenset("ARS BRL CAD CLP COP HKD MAD MYR PEN PHP RON SAR THB TRY".split())
NO_CODES = frozenset("ANY NAN NEW NIL NON NOT OLD OUI YES".split())
# Signs of several currencies, the most usual one first.
SHARED_SIGNS = {
    "$": ("USD", "CAD", "AUD", "NZD", "HKD", "SGD", "TWD", "MXN", "ARS", "CLP", "COP"),
    "£": ("GBP", "EGP"),
    "¥": ("JPY", "CNY"),
    "kr": ("SEK", "NOK", "DKK", "ISK"),
    "Rs": ("INR", "PKR"),
}
# Letters of these are large or small as written here: RS and KR are countries.
SIGNS = {
    "€": "EUR", "US$": "USD", "U$S": "USD", "C$": "CAD", "CA$": "CAD", "A$": "AUD", "AU$": "AUD", "NZ$": "NZD",
    "HK$": "HKD", "S$": "SGD", "NT$": "TWD", "MX$": "MXN", "R$": "BRL", "zł": "PLN", "Kč": "CZK", "Ft": "HUF",
    "лв": "BGN", "₽": "RUB", "₺": "TRY", "₴": "UAH", "₩": "KRW", "₪": "ILS", "₫": "VND", "฿": "THB", "₹": "INR",
    "₦": "NGN", "Rp": "IDR", "RM": "MYR", "元": "CNY", "円": "JPY",
}  # fmt: skip
# In small letters, of one.
WORDS = {
    "us dollar": "USD", "united states dollar": "USD", "american dollar": "USD", "dollar": "$", "euro": "EUR",
    "british pound": "GBP", "pound sterling": "GBP", "great british pound": "GBP", "uk pound": "GBP",
    "gb pound": "GBP", "pound": "GBP", "sterling": "GBP", "pence": "GBp", "japanese yen": "JPY", "yen": "JPY",
    "chinese yuan": "CNY", "yuan": "CNY", "yuan renminbi": "CNY", "renminbi": "CNY", "swiss franc": "CHF",
    "schweizer franken": "CHF", "canadian dollar": "CAD", "australian dollar": "AUD", "new zealand dollar": "NZD",
    "hong kong dollar": "HKD", "singapore dollar": "SGD", "swedish krona": "SEK", "norwegian krone": "NOK",
    "danish krone": "DKK", "polish zloty": "PLN", "polish złoty": "PLN", "zloty": "PLN", "złoty": "PLN",
    "czech koruna": "CZK", "hungarian forint": "HUF", "forint": "HUF", "romanian leu": "RON", "turkish lira": "TRY",
    "russian ruble": "RUB", "russian rouble": "RUB", "indian rupee": "INR", "korean won": "KRW",
    "south korean won": "KRW", "mexican peso": "MXN", "brazilian real": "BRL", "south african rand": "ZAR",
    "rand": "ZAR", "israeli shekel": "ILS", "israeli new shekel": "ILS", "uae dirham": "AED", "thai baht": "THB",
    "indonesian rupiah": "IDR", "malaysian ringgit": "MYR", "philippine peso": "PHP", "vietnamese dong": "VND",
}  # fmt: skip


def names_currency(column: str) -> bool:
    """Whether a column's name says that it tells currencies."""
    return COLUMN_NAMES.search(words_of(column)) is not None


def words_of(column: str) -> str:
    """The words of a column's name in small letters: of `orderType` and `order_type` order type."""
    apart = re.sub(r"(?<=[a-zäöü])(?=[A-Z])", " ", unicodedata.normalize("NFKC", column))
    return re.sub(r"[\W_]+", " ", apart).strip().lower()


def numbers_may_be_codes(column: str) -> bool:
    """Whether small whole numbers of a column may stand for currencies, by its name."""
    return names_currency(column) and NO_CODE_NAMES.search(column) is None


def canonical(code: str) -> str:
    """`usd` is USD. `GBp`, `ZAc` and `ILa` are hundredths and units of their own."""
    return code.upper() if re.fullmatch("[a-z]{3}", code) else code


def canonical_codes(column: str) -> pl.Expr:
    """`canonical` of each value of a column."""
    values = pl.col(column)
    is_small = values.str.contains("^[a-z]{3}$")
    return pl.when(is_small).then(values.str.to_uppercase()).otherwise(values).alias(column)


def well_known(text: str) -> str | None:
    """The code of a currency that is known by its code, sign or name; a sign of several stays as it is."""
    code = canonical(text)
    if code in COMMON or text in SHARED_SIGNS:
        return code if code in COMMON else text
    words = re.sub(r"[\s.-]+", " ", text.lower().replace("u.s.", "us")).strip()
    return SIGNS.get(text) or WORDS.get(words) or WORDS.get(words.removesuffix("s"))


def code_in(text: str) -> str | None:
    """The code that a column known to tell currencies has there; any three letters are one, and a number is."""
    if re.fullmatch(NUMBERED, text):
        return text
    code = well_known(text)
    if code is None and re.fullmatch("[A-Za-z]{3}", text) and text.upper() not in NO_CODES:
        return canonical(text)
    return code


def resolved(code: str, own: str) -> str:
    """A code, of a sign that the shop's currency shares that one."""
    currencies = SHARED_SIGNS.get(code, (code,))
    return own if own in currencies else currencies[0]
