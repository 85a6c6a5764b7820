"""What is asked for: the model, its inputs, and what to say where they do not fit."""
