"""Text files: written whole or not at all, and named alike on every system."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


def shown_from(folder: Path, path: Path | str) -> str:
    """Return a path as reports, node ids and people name it: relative to a folder, with slashes.

    One on another drive of Windows is shown whole.
    """
    with suppress(ValueError):
        path = os.path.relpath(path, folder)
    return Path(path).as_posix()


def write_whole(path: Path, text: str) -> None:
    """Put ``text`` in the place of a file, all at once: whoever reads it meanwhile sees the old or the new one.

    A link is followed, and its target replaced; what is no regular file (a device, a pipe) is written into. Raises
    OSError, and leaves the file as it is then.
    """
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
        return
    target = path.resolve()
    temporary = _temporary(target)
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        temporary.chmod(stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_writable(path: Path) -> None:
    """Make the folder of a file; raises OSError where :func:`write_whole` could not write the file."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.exists():
        writable = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
        if not path.stat().st_mode & writable or not os.access(path, os.W_OK):  # root may write everything
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if not path.exists() or path.is_file():
        target = path.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        _temporary(target).unlink()
        if target.exists():
            target.rename(target)  # Windows refuses while another program has it open


def _temporary(target: Path) -> Path:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
    os.close(handle)
    return Path(name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
