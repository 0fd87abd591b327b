"""Limits the streams that callers who have not signed in may have open in one process."""

from collections import Counter

from api.problems import OverConnectionLimit

RETRY_AFTER_S = 30


class AnonymousStreams:
    """Counts open streams in memory, by address.

    `per_ip` is the maximum for one address and `most` the maximum for the process; 0 is no limit.
    These streams take no lease in Redis, because then anybody could make us spend commands. The
    processes do not add their numbers up, so the maximum has to be small in each.
    """

    def __init__(self, *, per_ip: int, most: int) -> None:
        self._per_ip = per_ip
        self._most = most
        self._of: Counter[str] = Counter()

    @property
    def is_full(self) -> bool:
        """Whether the process holds as many as it may. This changes when one of them ends."""
        return bool(self._most) and self._of.total() >= self._most

    def enter(self, ip: str) -> None:
        """Count one more stream of this address, until `leave`. Raises OverConnectionLimit.

        The limit of the whole process is not checked here, but by `is_full`.
        """
        if self._per_ip and self._of.get(ip, 0) >= self._per_ip:
            raise OverConnectionLimit(
                f"This address has {self._per_ip} open streams without signing in, the most "
                "allowed.",
                retry_after_s=RETRY_AFTER_S,
            )
        self._of[ip] += 1

    def leave(self, ip: str) -> None:
        """Count one stream less of this address. Called once for each `enter`, at the end."""
        self._of[ip] -= 1
        # Without its entry an address that has no stream takes no memory.
        if not self._of[ip]:
            del self._of[ip]
