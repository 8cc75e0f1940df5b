"""How a receiver knows us, built from what the market file says."""

from exchange.marketfile.shapes.auth import AuthShape, HmacShape, OAuth2Shape
from exchange.values.auth import Auth, AuthKind, Digits, HmacTerms, OAuthTerms, Signed


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
    if shape.oauth2 is not None:
        return Auth(AuthKind.OAUTH2, shape.oauth2.client_id, shape.oauth2.secret, oauth2=_oauth2(shape.oauth2))
    return Auth(AuthKind.BEARER, secret=shape.bearer or "")


def _oauth2(shape: OAuth2Shape) -> OAuthTerms:
    return OAuthTerms(shape.token_url, shape.scope or "", shape.parameters or (), in_body=shape.client_auth == "body")


def _hmac(shape: HmacShape) -> HmacTerms:
    over = tuple(Signed(part) for part in shape.over)
    return HmacTerms(over, shape.separator, Digits(shape.digits), shape.prefix, shape.timestamp_header)
