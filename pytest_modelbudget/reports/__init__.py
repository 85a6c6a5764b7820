"""What people see: failure messages, the summary of the terminal, the properties of the JUnit file.

Functions from results to text. They word what was judged, and decide nothing.
"""
