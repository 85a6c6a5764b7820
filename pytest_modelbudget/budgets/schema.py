"""The JSON Schema of ``[tool.modelbudget]``, for editors and for validate-pyproject, from the types of its keys.

What a schema cannot say (that a name is exact, that a range has distinct sizes) the plugin still refuses at its start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import Meta

from pytest_modelbudget.metrics import METRICS, Metric
from pytest_modelbudget.specs import DTYPES, FLOATS

ID = "https://github.com/pytest-modelbudget/pytest-modelbudget/blob/main/pytest_modelbudget/budgets/table.schema.json"

_SIZE = r"([0-9]+|\{ *[0-9]+( *, *[0-9]+)* *\})"
_SPEC = rf" *(scalar|{_SIZE}(x{_SIZE})*)( +({'|'.join(DTYPES)})( *= *-?[0-9]+)?)? *"
_NO_SPEC = r"(?! *([0-9{]|scalar\b)).*"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"

Percent = Annotated[str, Meta(pattern=r"^([0-9]+(\.[0-9]+)?%|none)$", examples=["1%"])]
# Written out, as that of the optimizer: msgspec 0.22 frees memory twice for a pattern in a union with a list or a dict.
_REF_TO_INPUT = {"$ref": "#/definitions/Input"}
_INPUT = {
    "title": "Input",
    "description": 'A spec, a number, a boolean, "None", another string, or a list or table of inputs.',
    "anyOf": [
        {"type": "string", "pattern": f"^({_SPEC}|{_NO_SPEC})$", "examples": ["1x3x224x224", "1x128 int64"]},
        {"type": ["number", "boolean"]},
        {"type": "array", "items": _REF_TO_INPUT},
        {"type": "object", "additionalProperties": _REF_TO_INPUT},
    ],
}
Inputs = Annotated[Any, Meta(extra_json_schema={"allOf": [_REF_TO_INPUT], "minItems": 1, "minProperties": 1})]
Exponent = Literal["constant", "linear", "quadratic", "cubic"] | Annotated[float, Meta(ge=0, lt=100)]
Severity = Literal["report", "warn", "error"]


def _limit(metric: Metric) -> Any:
    """Return the type of a limit: an int, or a number with a prefix and the metric's unit."""
    prefixes = "([KMGTP]i?|k(?=B))" if metric.binary else "[KMGTP]"
    prefixes = f"({prefixes}|B)" if metric.billions else prefixes
    units = "|".join(metric.units)
    pattern = rf"^([0-9]+(_[0-9]+)*(\.[0-9]+)?( ?{prefixes})?( ?({units}))?|none)$"
    return Annotated[int, Meta(ge=0)] | Annotated[str, Meta(pattern=pattern, examples=[metric.example])]


def _table(name: str, keys: Mapping[str, Any], doc: str) -> Any:
    """Return the type of a table in which every key may be missing, and no other may stand."""
    kind: Any = TypedDict(name, dict(keys), total=False)  # type: ignore[misc]  # made from the metrics
    kind.__doc__ = doc
    return kind


def _of_metric(name: str, metric: Metric) -> Any:
    limit = _limit(metric)
    bounds = {"max": limit, "warn": limit, "growth": Percent, "floor": limit}
    title = f"{name.title().replace('_', '')}Bounds"
    return limit | _table(title, bounds, f"The limit, the warning and the growth of {metric.label}.")


_METRICS = {name: _of_metric(name, metric) for name, metric in METRICS.items()}
_RISE = {"growth": Percent, "floor": Annotated[int, Meta(ge=0)] | str}
_RULES = {**_METRICS, **_RISE, "message": str}
_OBJECT = rf"^{_NAME}(\.{_NAME})*:{_NAME}(\.{_NAME})*$"
_OPTIMIZER = [{"examples": ["torch.optim:AdamW"], "type": "string", "pattern": _OBJECT}, {"type": "object"}]
_DECLARING = {
    "factory": Annotated[str, Meta(pattern=_OBJECT, examples=["acme.models:Net"])],
    "artifact": Annotated[str, Meta(pattern=r"\.(pt2|safetensors|safetensors\.index\.json)$", examples=["net.pt2"])],
    "like": str,
    "positional": list[Any],
    "arguments": dict[str, Any],
    "inputs": Inputs,
    "method": Annotated[str, Meta(pattern=rf"^{_NAME}$")],
    "train": bool,
    "dtype": Literal[FLOATS],
    "ranks": Annotated[int, Meta(ge=1)],
    "backward": bool,
    "memory": bool,
    "cache": Annotated[int, Meta(ge=1)] | Annotated[str, Meta(pattern=rf"^ *{_SIZE} *$", examples=["{1024,2048}"])],
    "optimizer": Annotated[Any, Meta(extra_json_schema={"anyOf": _OPTIMIZER})],
    "scaling": _table("Scaling", dict.fromkeys(METRICS, Exponent), "The steepest growth of a metric with the inputs."),
}
_Rules: Any = _table("Rules", _RULES, "Limits for every model, or for a part of one.")
_Model: Any = _table(
    "Model", {**_RULES, **_DECLARING, "modules": dict[str, _Rules]}, "The budget of the models of a name or pattern."
)
_Table = _table(
    "Table",
    {
        "baseline": Annotated[str, Meta(min_length=1)],
        **_RISE,
        "new": Literal["report", "error"],
        "unbudgeted": Severity,
        "stale": Severity,
        "unknown_ops": Literal["error", "warn"],
        "flops_per_mac": Literal[1, 2],
        "default": _Rules,
        "models": dict[str, _Model],
    },
    "Budgets of PyTorch models: the table [tool.modelbudget] in pyproject.toml.",
)


def table_schema(tool_name: str = "modelbudget") -> dict[str, Any]:
    """Return the schema, of draft 7, of the table of the tool called ``tool_name``."""
    schema = msgspec.json.schema(_Table, ref_template="#/definitions/{name}")
    definitions = schema.pop("$defs")
    for one in definitions.values():
        one["additionalProperties"] = False
    root = definitions.pop("Table")
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": ID,
        "title": f"[tool.{tool_name}]",
        **root,
        "definitions": {**definitions, "Input": _INPUT},
    }
