"""Which table and which lock file are in use."""
