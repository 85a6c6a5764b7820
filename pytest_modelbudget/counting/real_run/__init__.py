"""The real run: a forward pass on real data, counted as it runs."""
