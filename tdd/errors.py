"""The one exception a user is meant to read: a sentence that says what is wrong, where, and the mend."""


class TddError(Exception):
    """Wrong input, or a machine that cannot do what was asked. The command line prints it and exits with code 2."""


class AlreadySaidError(TddError):
    """What another process of the same run says to the user, so that this one need not."""
