"""What people see: failure messages, the summary of the terminal, the properties of the JUnit file.

Functions from verdicts to text; this room knows neither torch nor counting.
"""
