"""Cases beside a conftest.py whose hooks add marks, run tests again, and handle exceptions: each by the test's name."""
