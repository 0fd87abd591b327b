"""Tickets for an EventSource, which can send no header: for one minute and one connection."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from api.problems import BadRequest, StoreUnavailable, TicketUsed, Unauthorized
from api.security.claims import Claims, principal_of, strings, timestamp
from api.security.grants import Access
from api.security.keys import KeyPurpose, derive_key
from api.security.patterns import is_segment
from api.security.principal import CredentialKind, Principal
from api.security.signing import INVALID_TOKEN, Signer
from api.security.users import InvalidUserId
from api.upstash import RedisError, UpstashClient

AUDIENCE = "millrace:ticket"
TICKET_TTL_S = 60.0
# Longer than the life of a ticket by more than hosts' clocks differ. Otherwise a host with a slow
# clock would accept a used ticket after its mark has expired.
USED_TTL_S = 180
# The URL names the topics once more, and CloudFront takes 8,192 bytes in all.
MAX_TICKET_CHARS = 4096


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket: `token` is sent as `?ticket=`, once, until `expires_at` (epoch seconds)."""

    token: str
    expires_at: float


class TicketService:
    """Issues tickets, and redeems each of them once.

    `secret` is MILLRACE_SECRET, `clock` gives epoch seconds, and `new_id` makes ids of tickets.
    """

    def __init__(
        self,
        secret: str,
        *,
        redis: UpstashClient,
        access: Access,
        clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._signer = Signer(derive_key(secret, KeyPurpose.TICKET), kind="ticket+jwt")
        self._redis = redis
        self._access = access
        self._clock = clock
        self._new_id = new_id

    async def issue(self, principal: Principal, topics: Iterable[str]) -> Ticket:
        """Return a ticket for `topics`, which `principal` must be able to read. Nothing is stored.

        It ends after `TICKET_TTL_S` seconds, or with the caller's token if that is earlier. Raises
        Forbidden, StoreUnavailable, and BadRequest for no topics or more than a URL can carry.
        """
        wanted = sorted(set(topics))
        if not wanted:
            raise BadRequest("A ticket needs at least one topic.")
        await self._access.require_read(principal, wanted)
        ticket = self._sign(principal, wanted)
        if len(ticket.token) > MAX_TICKET_CHARS:
            raise BadRequest("These topics are too many or too long for a ticket.")
        return ticket

    async def redeem(self, token: str) -> Principal:
        """Use up a ticket; return the caller that it was issued to, limited to its topics.

        Costs one command, and none for a ticket that is not valid. Raises Unauthorized,
        TokenExpired, TicketUsed, and StoreUnavailable when single use cannot be ensured.
        """
        principal, ticket_id = self._read(token)
        try:
            marked = await self._redis.write(
                "SET", f"millrace:tickets:{ticket_id}", 1, "NX", "EX", USED_TTL_S
            )
        except RedisError as error:
            # Refused when in doubt: without the mark, a ticket from a log could be used again.
            raise StoreUnavailable from error
        # `is not True`, because the SDK answers "not set" with False and not with None.
        if marked is not True:
            raise TicketUsed
        return principal

    def _sign(self, principal: Principal, topics: list[str]) -> Ticket:
        now = self._clock()
        ends = now + TICKET_TTL_S
        expires_at = ends if principal.expires_at is None else min(ends, principal.expires_at)
        # Only the grants for these topics, so that a leaked ticket shows and allows no more.
        needed = [str(p) for p in principal.read if any(p.matches(topic) for topic in topics)]
        claims = {
            "aud": AUDIENCE,
            "sub": principal.id,
            "roles": sorted(principal.roles),
            "grants": {"read": needed},
            "topics": topics,
            "until": principal.expires_at,
            "iat": int(now),
            "exp": expires_at,
            "jti": self._new_id(),
        }
        return Ticket(self._signer.sign(claims), expires_at)

    def _read(self, token: str) -> tuple[Principal, str]:
        claims = self._signer.claims(token)
        ticket_id = claims.get("jti")
        if claims.get("aud") != AUDIENCE or not isinstance(ticket_id, str):
            raise Unauthorized(INVALID_TOKEN)
        # `sub` is the caller's segment, which must not be escaped once more.
        bearer = principal_of(
            claims, now=self._clock(), via=CredentialKind.TICKET, as_segment=_segment
        )
        topics = frozenset(strings(claims.get("topics"), "topics"))
        return replace(bearer, expires_at=_until(claims), ticket_topics=topics), ticket_id


def _segment(user: str) -> str:
    if not is_segment(user):
        raise InvalidUserId
    return user


def _until(claims: Claims) -> float | None:
    """Return when the original token ends: the stream must end then, not with the ticket."""
    until = claims.get("until")
    return None if until is None else timestamp(until, "until")
