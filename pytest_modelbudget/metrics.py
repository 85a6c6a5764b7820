"""The one table of metrics: everything that is said of a metric, wherever it is said, comes from here.

pytest imports this module at every start, for the help on marks.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple, TypedDict

# No postponed annotations here: the annotations of Limits are the table.


Needs = Literal["weights", "forward", "backward", "file", "saving", "ranks", "memory", "saved", "cache", "optimizer"]


class Metric(NamedTuple):
    """What is to be known of a metric.

    ``label`` heads its column and stands before its value; ``units`` may follow a limit, the first is shown after
    every value where ``shows_unit`` is set. ``example`` is a limit that works. ``needs`` tells what has to be run:
    nothing (the weights suffice), a forward pass, or a backward pass too; or that there has to be a file, or the size
    of one to be computed, that the model runs as one of several ranks, that its activations are followed, or that it
    is noted what autograd saves; that it returns a cache, or that an optimizer makes a step.
    ``misspellings`` are keys by which people mean it. ``column`` gives it a column in the summary, whether or not it
    has a limit; ``billions`` accepts ``"7B"`` as seven billion, and ``binary`` the prefixes ``Ki``, ``Mi``, ...
    """

    label: str
    units: tuple[str, ...]
    example: str
    needs: Needs = "weights"
    misspellings: tuple[str, ...] = ()
    column: bool = False
    billions: bool = False
    binary: bool = False
    shows_unit: bool = False

    @property
    def runs(self) -> bool:
        """Whether the model has to run for it."""
        return self.needs not in ("weights", "file", "saving")

    @property
    def has_parts(self) -> bool:
        """Whether it is the sum of what the modules of a model cost."""
        return self.needs in ("weights", "forward", "backward")

    @property
    def is_of_file(self) -> bool:
        """Whether it is the size of a file, which holds names and stamps: it is locked only where it has a growth."""
        return self.needs in ("file", "saving")

    @property
    def unit(self) -> str:
        """The unit that is shown after a value, if any."""
        return self.units[0] if self.shows_unit else ""


Value = int | str | None
"""A limit as people write it: an exact int, a string such as ``"4.1G"``, or None to lift an inherited limit."""

_PARAMETERS = ("params", "param", "parameters")


def _in_bytes(label: str, example: str, needs: Needs, *misspellings: str) -> Metric:
    return Metric(label, ("B", "bytes"), example, needs, misspellings, binary=True, shows_unit=True)


class Limits(TypedDict, total=False):
    """The limits of a mark or a call, by metric."""

    params: Annotated[
        Value,
        Metric(
            label="params",
            units=_PARAMETERS,
            example="25.6M",
            misspellings=("parameters", "parameter", "n_params", "num_params", "max_params"),
            column=True,
            billions=True,
        ),
    ]
    trainable_params: Annotated[
        Value, Metric(label="trainable params", units=_PARAMETERS, example="25.6M", billions=True)
    ]
    macs: Annotated[
        Value,
        Metric(
            label="MACs",
            units=("MACs", "MAC"),
            example="4.1G",
            needs="forward",
            misspellings=("gmacs", "max_macs", "multiply_adds", "mult_adds", "madds"),
            column=True,
        ),
    ]
    flops: Annotated[
        Value,
        Metric(
            label="FLOPs",
            units=("FLOPs", "FLOP"),
            example="8.2G",
            needs="forward",
            misspellings=("gflops", "mflops", "max_flops"),
            column=True,
        ),
    ]
    training_macs: Annotated[
        Value, Metric(label="training MACs", units=("MACs", "MAC"), example="12.3G", needs="backward")
    ]
    training_flops: Annotated[
        Value, Metric(label="training FLOPs", units=("FLOPs", "FLOP"), example="24.6G", needs="backward")
    ]
    weight_bytes: Annotated[Value, _in_bytes("weight bytes", "102.4 MB", "weights", "weights")]
    peak_bytes: Annotated[
        Value, _in_bytes("peak", "256 KiB", "memory", "peak_memory", "activation_bytes", "max_memory")
    ]
    saved_bytes: Annotated[Value, _in_bytes("saved bytes", "40 MB", "saved", "saved_activations")]
    cache_bytes: Annotated[Value, _in_bytes("cache bytes", "2 GiB", "cache", "kv_cache_bytes")]
    optimizer_bytes: Annotated[Value, _in_bytes("optimizer bytes", "80 MB", "optimizer", "optimizer_state_bytes")]
    file_bytes: Annotated[Value, _in_bytes("file bytes", "50 MB", "file", "file_size")]
    safetensors_bytes: Annotated[Value, _in_bytes("safetensors bytes", "50 MB", "saving", "checkpoint_bytes")]
    comm_bytes: Annotated[Value, _in_bytes("comm bytes", "20 MB", "ranks", "communication_bytes")]


METRICS: Mapping[str, Metric] = {
    name: annotation.__metadata__[0]  # of Annotated, which type checkers do not see here
    for name, annotation in Limits.__annotations__.items()
}
"""Every metric that can be measured and budgeted, by name, in the order in which people see them."""

OF_THE_WHOLE = tuple(name for name, metric in METRICS.items() if not metric.has_parts)
"""The metrics that are no sum of what the modules of a model cost."""

MARKS = ("budget", "modelbudget")
"""The marks that limit them: ``budget`` is shared with other plugins, ``modelbudget`` is always ours."""


def needing(*runs: str) -> tuple[str, ...]:
    """Return the metrics that need one of these ``runs``."""
    return tuple(name for name, metric in METRICS.items() if metric.needs in runs)


def nearest(key: str, valid: tuple[str, ...]) -> str | None:
    """Return the one of ``valid`` that ``key`` was probably meant to be."""
    from difflib import get_close_matches

    for name, metric in METRICS.items():
        if key.lower() in metric.misspellings and name in valid:
            return name
    close = get_close_matches(key.lower(), valid, n=1, cutoff=0.6)
    return close[0] if close else next((name for name in METRICS if name in valid and name in key.lower()), None)


def is_near_miss(key: str) -> bool:
    """Return whether ``key`` is almost certainly meant to be a metric: ``flop``, ``gmacs``, ``forward_flops``."""
    from difflib import get_close_matches

    for metric in METRICS.values():
        units = {unit.lower() for unit in metric.units if len(unit) > 1}
        if key.lower() in metric.misspellings or units.intersection(key.lower().split("_")):
            return True
    return bool(get_close_matches(key.lower(), METRICS, n=1, cutoff=0.8))
