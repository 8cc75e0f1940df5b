"""The consents that a campaign or an order asks for: each is a field of the ping that can say yes."""

from exchange.marketfile.limits import CONSENTS_MAX
from exchange.marketfile.problems import Problems, shown
from exchange.marketfile.references import check_list
from exchange.marketfile.scalars import as_text
from exchange.marketfile.verticals import Catalogue
from exchange.values.vertical import FieldType, Stage

_TYPES = frozenset({FieldType.BOOLEAN, FieldType.TEXT})


def check_consent(raw: object, path: str, catalogue: Catalogue | None, problems: Problems) -> None:
    """Reports the consents of an entry that no ping can show; with an unknown vertical nothing can be said."""
    names = raw.get("consent") if isinstance(raw, dict) else None
    if catalogue is None or not isinstance(names, list):
        return
    where = f"{path}.consent"
    if len(names) > CONSENTS_MAX:
        problems.add(where, f"holds more than {CONSENTS_MAX:,} entries")
        return
    check_list(names, where, "field", catalogue.stages, problems)
    for name in filter(None, map(as_text, names)):
        field = catalogue.fields.get(name)
        if field is not None and field.stage is Stage.POST:
            problems.add(where, f"{shown(name)} is sent with the post only: consent must be there at the ping")
        elif field is not None and field.multiple:
            problems.add(where, f"{shown(name)} has several values: consent has one")
        elif field is not None and field.type not in _TYPES:
            problems.add(where, f"{shown(name)} is {field.type}: consent is a boolean or a text field")
