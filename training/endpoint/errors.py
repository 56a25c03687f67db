"""What can go wrong between this program and a model behind a URL.

EndpointError           ends the whole job: message = what happened, remedy = what to do
+-- WrongKey            the key is refused, or the account has no money left
+-- Unreachable         nobody answers at the URL, or nobody does any more
+-- Unsuitable          the endpoint refuses whatever it is asked: wrong URL, model or setting
+-- BudgetSpent         the next request could cost more than is left
+-- JournalError        the file of stored replies cannot be used

Trouble                 ends one attempt, and asking again may help
Refusal                 ends one request: asking again would be refused again
"""

from __future__ import annotations


class EndpointError(Exception):
    """Base of what ends a job: ``message`` says what happened, ``remedy`` the next step."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message}. {remedy}")
        self.message, self.remedy = message, remedy


class WrongKey(EndpointError):
    """The key is refused, or its account may not, or cannot, pay for the model."""


class Unreachable(EndpointError):
    """Nobody answers at the URL."""


class Unsuitable(EndpointError):
    """The endpoint refuses whatever it is asked."""


class BudgetSpent(EndpointError):
    """The next request could cost more than is left of the budget."""


class JournalError(EndpointError):
    """The file of stored replies is damaged, or another process writes it."""


class Trouble(Exception):
    """An attempt that failed for a passing reason.

    ``wait`` is what the endpoint asked for, in seconds (None: it named nothing); ``limited`` is
    true where all requests are to wait, not this one alone; ``connected`` is false where nobody
    took the connection; ``text`` is what came before a reply was cut off.
    """

    def __init__(
        self,
        reason: str,
        wait: float | None = None,
        *,
        limited: bool = False,
        connected: bool = True,
        text: str = "",
    ) -> None:
        super().__init__(reason)
        self.reason, self.wait, self.limited = reason, wait, limited
        self.connected, self.text = connected, text


class Refusal(Exception):
    """A request that the endpoint will not answer, however often it is asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
