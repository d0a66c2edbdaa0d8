"""What schemathesis has to know about jwtlet, and a record of the operations that it reached."""

import atexit
import json
import os
from collections import defaultdict

import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.generation.meta import TestPhase

# A subject token that the cluster vouches for: without one every exchange would end before the policy.
schemathesis.openapi.format("jwt", st.just(os.environ["JWTLET_SCHEMATHESIS_SUBJECT_TOKEN"]))

EXCHANGE = "POST /token"
# What the development mode grants to the service account of that token.
GRANTED = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token": os.environ["JWTLET_SCHEMATHESIS_SUBJECT_TOKEN"],
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "resource": "acme",
    "scope": "read",
}
MAPPING = "/api/v1/mappings/{client}/{context}"
SCOPE = "/api/v1/scopes/{scope}"

reached = defaultdict(set)


def key_of(case):
    """The members by which a record is named that the path of this case names."""
    parameters = case.path_parameters
    if case.operation.path == MAPPING:
        return {"clientIdentifier": parameters["client"], "participantContext": parameters["context"]}
    return {"scope": parameters["scope"]}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Some requests are made such that they can be answered well."""
    meta = case.meta
    if meta is None or meta.generation.mode != GenerationMode.POSITIVE or meta.phase.name == TestPhase.STATEFUL:
        return
    if case.operation.label == EXCHANGE and meta.phase.name == TestPhase.COVERAGE:
        case.body = GRANTED
    elif case.method in ("GET", "PUT") and case.operation.path in (MAPPING, SCOPE):
        create(case)


def create(case):
    """Records that are read or replaced are there, and a body has the key of its path."""
    key = key_of(case)
    rest = {"scopes": []} if case.operation.path == MAPPING else {"claims": {}}
    requests.post(
        case.operation.base_url.rstrip("/") + case.operation.path.split("/{")[0],
        json=key | rest,
        headers={"Authorization": "Bearer " + os.environ["JWTLET_SCHEMATHESIS_TOKEN"]},
        timeout=20,
    )
    if case.method == "PUT":
        case.body = case.body | key


@schemathesis.hook
def after_call(context, case, response):
    reached[case.operation.label].add(response.status_code)


@atexit.register
def write_record():
    with open(os.environ["JWTLET_SCHEMATHESIS_RECORD"], "w", encoding="utf-8") as record:
        json.dump({label: sorted(statuses) for label, statuses in reached.items()}, record)
