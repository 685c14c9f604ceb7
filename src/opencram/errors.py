"""The errors that a user can cause and mend; everything else is a bug."""


class InputError(Exception):
    """Bad arguments or input: one clear sentence naming file, place, what was found and what was expected.

    The command line prints the sentence on stderr and ends with status 2.
    """


class RunError(Exception):
    """A run that began with good input and could not be completed; the command line ends with status 1."""
