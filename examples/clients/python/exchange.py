"""Exchanges the token in the file named first for one of the participant context named second, and prints it."""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request


def exchange(token_file: str, context: str, scope: str = "") -> dict:
    with open(token_file) as file:  # each time: the kubelet replaces the token
        subject_token = file.read()
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "subject_token": subject_token,
        "resource": context,
        "scope": scope,
    }
    request = urllib.request.Request(os.environ["JWTLET_URL"] + "/token", urllib.parse.urlencode(form).encode())
    for attempt in range(3):
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            # Only these are worth another try; the others say what to change.
            if error.code not in (429, 503) or attempt == 2:
                raise SystemExit(f"{error.code}: {error.read().decode()}")
            time.sleep(int(error.headers.get("Retry-After", 1)))


if __name__ == "__main__":
    print(exchange(*sys.argv[1:])["access_token"])
