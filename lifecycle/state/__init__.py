"""Customer state: the encoded default answer of every customer, made in batch and mapped into memory."""
