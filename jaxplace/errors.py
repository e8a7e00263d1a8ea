"""The two ways in which a user's input can be refused."""


class JaxplaceError(Exception):
    """Base of every error that jaxplace raises on purpose."""


class InputError(JaxplaceError):
    """The input cannot be used: a table, an array, an option.  Exit code 2.

    `faults` holds one text per fault; all of them were found before the first is shown.
    """

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class OutputError(JaxplaceError):
    """No feasible plan could be written: a defect of ours, or the disk.  Exit code 3."""
