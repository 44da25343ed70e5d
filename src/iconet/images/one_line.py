"""What goes wrong with a file is said in one line."""

import contextlib
import warnings
from collections.abc import Iterator

from iconet.errors import InputError


@contextlib.contextmanager
def one_line_errors(name: str, *, wrong: str = "cannot be read") -> Iterator[None]:
    """Turns whatever a decoder raises on a damaged file into one line that names the remedy.

    The exception's own text is left out: it may quote the file, and so a patient's name.
    """
    try:
        with warnings.catch_warnings():
            # Of overflows in a header's numbers, and of Python in the text of a .npy header.
            warnings.simplefilter("ignore")
            yield
    except (InputError, ModuleNotFoundError):  # the latter has a remedy of its own
        raise
    except MemoryError as error:
        raise InputError(
            f"{name}: does not fit into memory; crop or split it, or use a larger machine"
        ) from error
    except PermissionError as error:
        raise InputError(f"{name}: no permission to read it; change its mode or owner") from error
    except Exception as error:  # damaged bytes make decoders raise nearly anything
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(f"{name}: {wrong} ({reason}); copy or export it again") from error
