"""What a test under a budget does, case by case: see ../test_behaviours.py."""
