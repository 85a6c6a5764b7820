"""Operators: what is known of one before it is called, and its MACs. Nothing here knows of runs."""
