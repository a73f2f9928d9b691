"""The two kinds of error: what the user can fix, and what is wrong with one item of a corpus."""


class UserError(Exception):
    """Something the user can fix. The message says what, where and how; the CLI prints it and exits with status 2."""


class ItemError(Exception):
    """One file that cannot be used. In bulk work it becomes a row of `failures`; otherwise it is shown to the user.

    stage: the step that rejected it (`open`, `audio`, `speech`, `face`), the column by which failures are counted.
    """

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage
        self.reason = reason
