"""A Ray cluster joined or started; rows through actors; members over many customers."""
