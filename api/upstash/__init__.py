"""Redis at Upstash: the SDK made safe, its errors, and its scripts."""

from api.upstash.client import Command, UpstashClient
from api.upstash.errors import (
    AuthFailed,
    BadGateway,
    NoReply,
    QuotaExceeded,
    RedisError,
    Refused,
    ScriptMissing,
    TooLarge,
    Unreachable,
    WrongType,
)
from api.upstash.script import Script
