"""A real HTTP server for the keys of a team, with the ways in which such servers fail."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.support.tcp_server import TcpServer


@cache
def _rsa(_name: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def _ec(_name: str, p256: bool) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1() if p256 else ec.SECP384R1())


def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The same key for the same name: making one takes a while."""
    return _rsa(name, bits)


def ec_key(name: str, *, p256: bool = True) -> ec.EllipticCurvePrivateKey:
    """The same key for the same name."""
    return _ec(name, p256)


def rsa_jwk(name: str, bits: int = 2048, **members: Any) -> dict[str, Any]:
    """The public JWK of `rsa_key(name)`."""
    jwk = RSAAlgorithm.to_jwk(rsa_key(name, bits).public_key(), as_dict=True)
    return _published({**jwk, "kid": name, **members})


def ec_jwk(name: str, *, p256: bool = True, **members: Any) -> dict[str, Any]:
    """The public JWK of `ec_key(name)`."""
    jwk = ECAlgorithm.to_jwk(ec_key(name, p256=p256).public_key(), as_dict=True)
    return _published({**jwk, "kid": name, **members})


def rs256(name: str, claims: dict[str, Any], **headers: Any) -> str:
    return jwt.encode(claims, rsa_key(name), "RS256", headers={"kid": name, **headers})


def es256(name: str, claims: dict[str, Any], **headers: Any) -> str:
    return jwt.encode(claims, ec_key(name), "ES256", headers={"kid": name, **headers})


class JwksServer(TcpServer):
    """Serves `keys` and counts `hits`; `status`, `body`, `gate` and `head` change the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[Any] = []
        self.status = 200
        self.body: bytes | None = None
        self.head = ""
        self.gate: asyncio.Event | None = None
        self.hits = 0

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.url += "/jwks.json"
        return self

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.hits += 1
        if self.gate:
            await self.gate.wait()
        body = json.dumps({"keys": self.keys}).encode() if self.body is None else self.body
        head = f"HTTP/1.1 {self.status} X\r\n{self.head}Content-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)


def _published(jwk: dict[str, Any]) -> dict[str, Any]:
    """As providers publish it; a member that is None is left out."""
    merged = {**jwk, "use": jwk.get("use", "sig"), "key_ops": jwk.get("key_ops")}
    return {name: value for name, value in merged.items() if value is not None}
