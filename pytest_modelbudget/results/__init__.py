"""What a run found: measurements and verdicts of its tests, on their way between processes and all together.

Pure functions and values, which know neither torch nor pytest.
"""

from pytest_modelbudget.results.gathering import gather, merge
from pytest_modelbudget.results.run import (
    About,
    Incomplete,
    ModelResult,
    Result,
    Run,
    Stale,
    TestResult,
    decode,
    encode,
)

__all__ = [
    "About",
    "Incomplete",
    "ModelResult",
    "Result",
    "Run",
    "Stale",
    "TestResult",
    "decode",
    "encode",
    "gather",
    "merge",
]
