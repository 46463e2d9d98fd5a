"""The recorded-set format: reader and writer."""
