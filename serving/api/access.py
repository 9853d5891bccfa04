"""Who may call: keys and their scopes."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from serving.keys import KeyRing


def may_call(keys: KeyRing, authorization: str, scope: str) -> bool:
    """Whether the header Authorization has a key of a scope."""
    scheme, _, secret = authorization.partition(" ")
    key = keys.find(secret) if scheme.lower() == "bearer" else None
    return key is not None and key.allows(scope)


def require_scope(keys: KeyRing, scope: str) -> Callable[..., Awaitable[None]]:
    """A dependency that lets only keys of a scope pass: 401 without a valid key, 403 with one of another scope."""
    bearer = HTTPBearer(
        auto_error=False, description="a key made by `python -m serving.keys create`"
    )

    async def check(
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> None:
        key = keys.find(credentials.credentials) if credentials is not None else None
        if key is None:
            header = {"WWW-Authenticate": "Bearer"}
            raise HTTPException(401, "a valid key is needed: Authorization: Bearer KEY", header)
        if not key.allows(scope):
            raise HTTPException(403, f"this key has scope {key.scope!r}; {scope!r} is needed")

    return check
