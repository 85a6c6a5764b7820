"""Cases beside a conftest.py whose hook for reports is called last of all."""
