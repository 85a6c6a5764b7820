"""Hand-derived truth: small models of known cost, and the tests that hold the engine to it."""
