"""Verifies the token on standard input as a service does, and prints its claims. Needs PyJWT[crypto]."""

import json
import os
import sys

import jwt

ISSUER, AUDIENCE = os.environ["ISSUER"], os.environ["AUDIENCE"]
# Made once and kept: it caches the keys, and fetches them again when a token names a new one.
KEYS = jwt.PyJWKClient(ISSUER + "/.well-known/jwks.json", lifespan=300)


def verify(token: str) -> dict:
    return jwt.decode(
        token,
        KEYS.get_signing_key_from_jwt(token).key,
        algorithms=["EdDSA"],  # the algorithm of your signing key, and no other
        issuer=ISSUER,
        audience=AUDIENCE,
        options={"require": ["exp", "iss", "aud", "sub"]},
    )


if __name__ == "__main__":
    try:
        print(json.dumps(verify(sys.stdin.read().strip())))
    except jwt.PyJWTError as error:
        raise SystemExit(f"refused: {error}")
