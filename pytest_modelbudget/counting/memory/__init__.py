"""What is alive when: the storages that operators use, and the peak of their bytes."""
