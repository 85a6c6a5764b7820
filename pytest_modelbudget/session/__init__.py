"""One run of pytest: the only part of the package with state, and the one that ties pytest to the others."""
