"""Whose cost it is: the modules of a model, which of them is running, and what each of them costs."""
