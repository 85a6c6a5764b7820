"""Leaving no footprint: what a forward pass can change is remembered before it, and put back after it."""
