"""Safetensors files: what their headers say, and how long the file of a model would be.

A file is 8 bytes with the length of the header, the header as JSON, filled to a multiple of 8, and the data:
https://github.com/huggingface/safetensors#format. The header says all that is measured; the data is not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import torch

from pytest_modelbudget.counting.torch_private import storage_identity, storage_of
from pytest_modelbudget.measurement import MeasurementError

_LONGEST_HEADER = 100_000_000  # of the format itself
_DTYPES = {
    **{"uint64": "U64", "int64": "I64", "float64": "F64", "complex64": "C64", "float32": "F32", "uint32": "U32"},
    **{"int32": "I32", "bfloat16": "BF16", "float16": "F16", "uint16": "U16", "int16": "I16"},
    **{"float8_e5m2fnuz": "F8_E5M2FNUZ", "float8_e4m3fnuz": "F8_E4M3FNUZ"},
    **{"float8_e8m0fnu": "F8_E8M0", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"},
    **{"int8": "I8", "uint8": "U8", "bool": "BOOL"},
}
"""The dtypes that a file can hold by their names there, in the order of the data: that of the widest comes first."""
_SIZES = {named: getattr(torch, name).itemsize for name, named in _DTYPES.items() if hasattr(torch, name)}
"""The bytes of an element of each that this torch knows."""


class Entry(NamedTuple):
    """A tensor in a file: its dtype by its name there, its shape, and its bytes."""

    dtype: str
    shape: tuple[int, ...]
    nbytes: int


_Size = Annotated[int, msgspec.Meta(ge=0)]


class _Tensor(msgspec.Struct):
    """A tensor in a header."""

    dtype: str
    shape: tuple[_Size, ...]
    data_offsets: tuple[_Size, _Size]


def entries_of_file(path: Path) -> tuple[dict[str, Entry], int]:
    """Return the tensors in a file, or in all shards of an index, and the size on disk. Raises MeasurementError."""
    if not path.name.endswith(".json"):
        return dict(_read_header(path)), path.stat().st_size
    try:
        places = json.loads(_bytes_of(path, 0, -1))["weight_map"]
        shards = sorted({*places.values()})
        found = {shard: dict(_read_header(path.parent / shard)) for shard in shards}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise MeasurementError(f"{path}: is no index of safetensors files") from None
    for name, shard in places.items():
        if name not in found[shard]:
            raise MeasurementError(f"{path}: names the tensor {name} in {shard}, which does not have it")
    size = path.stat().st_size + sum((path.parent / shard).stat().st_size for shard in shards)
    return {name: entry for shard in shards for name, entry in found[shard].items()}, size


def _read_header(path: Path) -> Iterator[tuple[str, Entry]]:
    length = int.from_bytes(_bytes_of(path, 0, 8), "little")
    room = path.stat().st_size - 8 - length
    try:
        if not 2 <= length <= _LONGEST_HEADER or room < 0:
            raise ValueError
        header = msgspec.json.decode(_bytes_of(path, 8, length), type=dict[str, Any])
        header.pop("__metadata__", None)
        for name, tensor in msgspec.convert(header, dict[str, _Tensor]).items():
            begin, end = tensor.data_offsets
            size = _SIZES.get(tensor.dtype)
            if not begin <= end <= room or (size and prod(tensor.shape) * size != end - begin):
                raise ValueError
            yield name, Entry(tensor.dtype, tensor.shape, end - begin)
    except (ValueError, RecursionError):
        raise MeasurementError(f"{path}: is no safetensors file") from None


def _bytes_of(path: Path, start: int, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(count)
    except OSError as error:
        raise MeasurementError(f"{path}: cannot be read: {error.strerror}") from None


def entries_of_state(state: Mapping[str, Any]) -> dict[str, Entry]:
    """Return the tensors of a ``state_dict``; those at one place of a storage once, under their first name.

    Raises MeasurementError for what no file can hold.
    """
    found: dict[str, Entry] = {}
    seen: set[tuple[Any, ...]] = set()
    for name, value in state.items():
        dtype = _DTYPES.get(str(getattr(value, "dtype", "")).removeprefix("torch."))
        if not isinstance(value, torch.Tensor) or value.layout is not torch.strided or dtype is None:
            raise MeasurementError(f"safetensors_bytes: {name} is no tensor that a safetensors file can hold")
        place = storage_identity(storage_of(value)), value.storage_offset() * value.element_size()
        if place not in seen:
            seen.add(place)
            found[name] = Entry(dtype, tuple(value.shape), value.numel() * value.element_size())
    return found


def size_of_file(entries: Mapping[str, Entry]) -> int:
    """Return the bytes of the file that ``save_file`` writes for these tensors, without metadata."""
    order = [*_DTYPES.values()]

    def place(named: tuple[str, Entry]) -> tuple[int, str]:
        return order.index(named[1].dtype) if named[1].dtype in order else len(order), named[0]

    header, end = {}, 0
    for name, entry in sorted(entries.items(), key=place):
        offsets = [end, end := end + entry.nbytes]
        header[name] = {"dtype": entry.dtype, "shape": entry.shape, "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return 8 + -(-len(text) // 8) * 8 + end


def elements(entry: Entry) -> int:
    """Return the number of elements of a tensor."""
    return prod(entry.shape)
