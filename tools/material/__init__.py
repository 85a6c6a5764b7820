"""A project of 17 models in every state a model can be in, and what each surface makes of it."""
