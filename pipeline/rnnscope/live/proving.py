"""The proofs of a recording, made in a thread of their own while the passes go on."""

import contextvars
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from rnnscope.extract import judging
from rnnscope.trace.findings import Findings, merge

WAITING = 2
"""Proofs that may wait for their turn; what each compares is held in memory until then."""


class Proving:
    """Makes proofs one after another, and judges them in the order in which they were given.

    As a context it ends its thread.
    """

    def __init__(self, tolerance: float):
        self.tolerance = tolerance
        self.found: Findings = {}
        self._waiting: deque[Future[Findings]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rnnscope-proof")

    def __enter__(self) -> "Proving":
        return self

    def __exit__(self, *_: Any) -> None:
        self._thread.shutdown(cancel_futures=True)

    def later(self, prove: Callable[[], Findings]) -> None:
        """Take a proof to be made.

        Raises:
            UserError: an earlier one found a residual past the tolerance.
        """
        context = contextvars.copy_context()
        self._waiting.append(self._thread.submit(context.run, prove))
        while self._waiting and (len(self._waiting) > WAITING or self._waiting[0].done()):
            self._judge()

    def findings(self) -> Findings:
        """The worst of all proofs, once they are made.

        Raises:
            UserError: a residual past the tolerance.
        """
        while self._waiting:
            self._judge()
        return self.found

    def _judge(self) -> None:
        found = self._waiting.popleft().result()
        judging.check(found, self.tolerance)
        merge(self.found, found)
