"""Count what a test runs by itself."""
