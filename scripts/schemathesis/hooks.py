"""Adapts generated valid data to rules that a schema can't express.

docs/testing.md lists these exceptions. Data that are generated as invalid stay as they are.
"""

import re
import uuid

import schemathesis
from schemathesis import GenerationMode

# Only the server issues these tokens; it refuses generated ones.
OPAQUE = ("after", "at_least", "Last-Event-ID")
# A period starts today or later, and has one to 365 days.
PERIOD = {"from": "2099-01-05", "to": "2099-01-08"}
# Names have no invisible characters and at least one visible one.
NAMES = ("itemName", "customerName")
TAG = r'(W/)?"[!#-~]*"'
TAGS = re.compile(rf"\*|{TAG}( *, *{TAG})*")


def whole(value):
    """Turns 5.0, an integer to a schema but not to the server, into 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def adapt(case):
    body = {name: whole(value) for name, value in case.body.items()}
    for name in NAMES:
        if isinstance(body.get(name), str):
            body[name] = "Camera"
    if isinstance(body.get("period"), dict):
        body["period"] = PERIOD
    if case.method.upper() == "PATCH":
        # These fields must equal the path and the stored resource, or be absent.
        for name in ("itemNo", "reservationNo", "customerId"):
            body.pop(name, None)
    elif case.path == "/reservations":
        # Only a renter may leave this field out.
        body["customerId"] = body.get("customerId") or 1
    case.body = body


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    query, headers = case.query or {}, case.headers or {}
    for name in OPAQUE:
        query.pop(name, None)
        headers.pop(name, None)
    for name in ("If-Match", "If-None-Match"):
        # The coverage phase ignores the patterns of headers.
        if name in headers and not TAGS.fullmatch(str(headers[name])):
            headers.pop(name)
    if "Idempotency-Key" in headers:
        # A key belongs to one request.
        headers["Idempotency-Key"] = str(uuid.uuid4())
    if "from" in query and "to" in query:
        query.update(PERIOD)
    if "limit" in query:
        query.pop("size", None)
    if isinstance(case.body, dict):
        adapt(case)
