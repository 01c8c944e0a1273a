"""What this package refuses: a period that cannot be computed, a policy file that cannot be followed."""


class RetentionError(Exception):
    """Base of everything `retention` raises on purpose."""


class PeriodError(RetentionError):
    """A duration or a date with which no period can be computed.

    Attributes:
        message: what is wrong.
        example: a duration that would be accepted in its place; None where the fault is in a date.
    """

    def __init__(self, message: str, example: str | None = None) -> None:
        """Take what is wrong and, for durations, one that is right."""
        super().__init__(message, example)
        self.message = message
        self.example = example

    def __str__(self) -> str:
        """Say both in one line."""
        return self.message if self.example is None else f'{self.message}; write "{self.example}"'


class PolicyError(RetentionError):
    """A policy file says something that Kura cannot or will not follow; nothing of the file is used.

    Attributes:
        source: the file's name as the caller gave it.
        line: counted from 1; where the key stands, or its table where the key is missing.
        key: dotted path, as `class.call_recording.retain`; tables of an array by number from 1, as `site[2].id`;
            empty where the file as a whole is wrong.
        message: what is wrong.
        remedy: what to write instead.
    """

    def __init__(self, source: str, line: int, key: str, message: str, remedy: str) -> None:
        """Take the place, the fault and the remedy."""
        super().__init__(source, line, key, message, remedy)
        self.source = source
        self.line = line
        self.key = key
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """Say all in one line, in the form that editors turn into a link."""
        place = f"{self.source}:{self.line}: {self.key}" if self.key else f"{self.source}:{self.line}"
        return f"{place}: {self.message}; {self.remedy}"
