"""The shape run: a forward pass on tensors that have shapes but no data."""
