"""The end of a run: what it found, brought together, shown and written."""
