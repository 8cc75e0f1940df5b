"""How a receiver knows us, built from what the market file says."""

from exchange.marketfile.shapes.auth import AuthShape, HmacShape
from exchange.values.auth import Auth, AuthKind, Digits, HmacTerms, Signed


def build_auth(shape: AuthShape | None) -> Auth:
    """None is nothing."""
    if shape is None:
        return Auth()
    if shape.basic is not None:
        return Auth(AuthKind.BASIC, shape.basic.user, shape.basic.password)
    if shape.header is not None:
        return Auth(AuthKind.HEADER, shape.header.name, shape.header.value)
    if shape.query is not None:
        return Auth(AuthKind.QUERY, shape.query.name, shape.query.value)
    if shape.hmac is not None:
        return Auth(AuthKind.HMAC, shape.hmac.header, shape.hmac.secret, _hmac(shape.hmac))
    return Auth(AuthKind.BEARER, secret=shape.bearer or "")


def _hmac(shape: HmacShape) -> HmacTerms:
    over = tuple(Signed(part) for part in shape.over)
    return HmacTerms(over, shape.separator, Digits(shape.digits), shape.prefix, shape.timestamp_header)
