"""The sets of recipes for a business, run one after another on exports of its shape."""
