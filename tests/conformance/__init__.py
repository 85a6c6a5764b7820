"""Hand-derived truth: small models whose cost is known without any counter, and the tests that hold the engine to it."""
