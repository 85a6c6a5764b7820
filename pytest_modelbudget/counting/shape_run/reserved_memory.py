"""The memory of tensors without values: reserved, and never touched.

A tensor without values is a plain ``torch.Tensor`` on the CPU: its shape, strides, dtype, storage, views and version
counter are torch's own. Only its data lies at an address that belongs to nobody else, so that is how it is told apart.
All tensors of a run lie at one address: nothing is ever read or written there, so they may overlap.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import platform
import sys
from collections.abc import Collection

import torch

from pytest_modelbudget.counting.plain_tensors import PLAIN_TYPES
from pytest_modelbudget.counting.torch_private import address_of_storage

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_LARGEST, _SMALLEST = 1 << 46, 1 << 20
_OF_TENSORS = 1 << 62
"""More bytes than any tensor has: they may reach beyond the reservation, for only where they begin matters."""
_WATCHED = 1 << 16
"""The bytes at the beginning of the reservation of which it is asked whether they were touched."""
_MMAP_OF_LINUX = {"x86_64": 9, "aarch64": 222}
_MADV_DONTNEED, _MADV_DONTDUMP = 4, 16
_PROT_NONE = 0
_FAILED = ctypes.c_void_p(-1).value
_STEP, _RUNS = 64, 1 << 10
"""The addresses of runs are as far apart as any dtype is aligned, and used again after so many runs."""


def _map(size: int, protection: int, flags: int) -> int | None:
    """Map memory for which the system provides no pages before it is touched.

    On Linux by the system call itself: profilers of memory take what ``mmap`` maps for an allocation.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    number = _MMAP_OF_LINUX.get(platform.machine()) if sys.platform == "linux" else None
    arguments = [ctypes.c_long(value) for value in (0, size, protection, flags, -1, 0)]
    call = libc.mmap if number is None else libc.syscall
    call.restype = ctypes.c_void_p
    address: int | None = call(*([] if number is None else [ctypes.c_long(number)]), *arguments)
    return None if address in (None, _FAILED) else address


def _reserve_in_windows(size: int) -> int | None:  # pragma: no cover - never tried
    reserve, no_access = 0x2000, 0x01
    allocate = ctypes.windll.kernel32.VirtualAlloc  # type: ignore[attr-defined]
    allocate.restype = ctypes.c_void_p
    allocate.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_ulong, ctypes.c_ulong]
    address: int | None = allocate(None, size, reserve, no_access)
    return address


def _reserve_in_unix(size: int) -> int | None:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    # Linux tells what was touched; where it promises no more memory than it has, it promises what can only be read.
    # Elsewhere whoever touches it ends the process: the count would be wrong, and nobody would know.
    readable = (mmap.PROT_READ | mmap.PROT_WRITE, mmap.PROT_READ)
    for protection in readable if sys.platform == "linux" else (_PROT_NONE,):
        address = _map(size, protection, flags)
        if address is not None:
            return address
    return None


def _advise(address: int, size: int, advice: int) -> None:
    if sys.platform == "linux":
        advise = ctypes.CDLL(None).madvise
        advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        advise(address, size, advice)


def _reserve() -> tuple[int, int]:
    """Return the address and the size of a reservation: as large as there is, and a small part of a limited space."""
    size = _LARGEST
    if resource is not None:
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        size = size if limit == resource.RLIM_INFINITY else min(size, limit // 16)
    while size >= _SMALLEST:
        address = _reserve_in_windows(size) if sys.platform == "win32" else _reserve_in_unix(size)
        if address is not None:
            _advise(address, size, _MADV_DONTDUMP)
            return address, size
        size //= 2
    raise MemoryError("there are no addresses left to reserve")


FIRST, _SIZE = _reserve()
BEHIND = FIRST + _SIZE
"""The addresses of the reservation: from ``FIRST`` up to the one before ``BEHIND``."""


def is_reserved(tensor: torch.Tensor) -> bool:
    """Return whether the data of a tensor lies in the reservation."""
    return FIRST <= _address_of(tensor) < BEHIND


def _address_of(tensor: torch.Tensor) -> int:
    """Return where the storage of a tensor begins, or what no address is."""
    try:
        return address_of_storage(tensor)
    except RuntimeError:
        return -1  # it has no storage, as what the garbage collector has emptied and somebody still holds


if sys.platform == "linux":
    _pages = (ctypes.c_ubyte * (_WATCHED // mmap.PAGESIZE))()
    _resident = ctypes.CDLL(None).mincore
    _resident.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]


class RunMemory:
    """The ``address`` of one run, and the ``buffer`` there that its tensors are made of.

    Each storage that is made of the buffer refers to it as long as it lives, whoever holds it.
    """

    _next = 0

    def __init__(self) -> None:
        self.address = FIRST + _STEP * RunMemory._next
        # Each run has an address of its own, so that tensors that outlive a run are told from those of the next.
        RunMemory._next = (RunMemory._next + 1) % _RUNS
        self.buffer = (ctypes.c_char * _OF_TENSORS).from_address(self.address)
        self._references = sys.getrefcount(self.buffer)

    def was_touched(self) -> bool:
        """Return whether the first bytes of any tensor were read or written; Linux alone can tell.

        Then the system had to provide a page for them.
        """
        if sys.platform != "linux":
            return False
        _resident(FIRST, _WATCHED, _pages)
        touched = any(page & 1 for page in _pages)
        # Give the page back, or every later run would look as if it had touched it.
        if touched:
            _advise(FIRST, _WATCHED, _MADV_DONTNEED)
        return touched

    def has_living_storages(self) -> bool:
        """Return whether any storage of the run still lives."""
        return sys.getrefcount(self.buffer) > self._references


def tensors_at(addresses: Collection[int]) -> list[torch.Tensor]:
    """Return the plain tensors that Python objects hold whose storages begin at one of the addresses."""
    plain = [item for item in gc.get_objects() if type(item) in PLAIN_TYPES]
    dense = [tensor for tensor in plain if tensor.layout is torch.strided and not tensor.is_nested]
    return [tensor for tensor in dense if _address_of(tensor) in addresses]
