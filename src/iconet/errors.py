"""The one exception that means: the input or the call is wrong."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names the file and the remedy. The command line prints it on
    standard error and exits with code 2.
    """
