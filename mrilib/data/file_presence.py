"""Whether a path leads to a file that can be read at all."""

import errno
import os
import stat
from pathlib import Path

# A link to itself, a link that holds what no path can be.
_LEADS_NOWHERE = (errno.ELOOP, errno.ENAMETOOLONG)


def found_instead(path: str | Path) -> str | None:
    """What is found at a path where a file was expected that this user may read; `None` for such a file.

    Found instead are: nothing, a link that leads nowhere, a folder, a pipe, a socket or a device, an empty
    file, a file without the right to read it. Nothing is read, and what is no file is not opened: opening a
    named pipe would wait for its writer.

    Raises:
        OSError: if the machine fails, not the file: a disk with errors, a file server that went away.
    """
    try:
        about = os.stat(path)
        if stat.S_ISDIR(about.st_mode):
            return "a folder"
        if not stat.S_ISREG(about.st_mode):
            return "a pipe, a socket or a device"
        # Asked by opening: on network file systems the mode does not say it.
        open(path, "rb").close()
    except (FileNotFoundError, NotADirectoryError):
        return f"a link to {os.readlink(path)}, where nothing is" if os.path.islink(path) else "nothing"
    except PermissionError:
        return "no right to read it"
    except OSError as error:
        if error.errno in _LEADS_NOWHERE:
            return "a link that leads nowhere"
        raise
    return None if about.st_size else "an empty file (0 bytes)"
