"""The command ``modelbudget``: what lock files and reports say, without running a test. It imports no torch."""
