"""Verifies a token the way a Python service does that knows its issuer and nothing else.

Usage: verify_with_pyjwt.py ISSUER AUDIENCE < TOKEN. Fetches the issuer's discovery document, then the key set that it
names, and prints the claims as JSON. Ends with status 1 and the error's name when the token is not good.
"""

import json
import sys
from urllib.request import urlopen

import jwt


def main() -> None:
    issuer, audience = sys.argv[1:]
    token = sys.stdin.read()
    with urlopen(f"{issuer}/.well-known/openid-configuration", timeout=10) as answer:
        metadata = json.load(answer)
    if metadata["issuer"] != issuer:
        raise jwt.InvalidIssuerError(f"the document is about {metadata['issuer']}")
    key = jwt.PyJWKClient(metadata["jwks_uri"], timeout=10).get_signing_key_from_jwt(token)
    claims = jwt.decode(
        token,
        key,
        algorithms=metadata["id_token_signing_alg_values_supported"],
        audience=audience,
        issuer=issuer,
        options={"require": ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"]},
    )
    json.dump(claims, sys.stdout)


if __name__ == "__main__":
    try:
        main()
    except jwt.PyJWTError as error:
        sys.exit(f"{type(error).__name__}: {error}")
