"""The bytes of a request's body, within the limit of the service."""

from fastapi import HTTPException, Request

from serving.predict.problems import InvalidRequest, Problem


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body of a JSON request; 413 as soon as it is known to be too large."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise InvalidRequest([Problem("Content-Type", "must be application/json")])
    too_large = HTTPException(413, f"the body exceeds {max_bytes} bytes")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise too_large
    return bytes(body)
