"""Whether a JSON value has the shape that a JSON Schema describes: the few words of it that the exchange uses."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

Schema = dict[str, Any]

_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}
_KNOWN = {
    "type", "properties", "required", "additionalProperties", "items", "enum", "const", "oneOf", "pattern", "format",
    "minimum", "maximum", "minLength", "maxLength", "description", "examples", "title", "default", "$ref",
    "anyOf", "propertyNames", "$schema", "$defs",
}  # fmt: skip


def resolve(document: Schema, reference: str) -> Schema:
    """What a `$ref` points to. Fails where it points nowhere."""
    found: Any = document
    assert reference.startswith("#/"), reference
    for part in reference[2:].split("/"):
        found = found[part]
    assert isinstance(found, dict)
    return found


def references(value: Any) -> Iterator[str]:
    """Every `$ref` in a document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def faults(document: Schema, schema: Schema, value: Any, path: str = "$") -> list[str]:
    """Where a value breaks its schema. A key that an object's schema does not name is a fault, too."""
    assert not schema.keys() - _KNOWN, f"this check does not know {schema.keys() - _KNOWN}"
    if "$ref" in schema:
        return faults(document, resolve(document, schema["$ref"]), value, path)
    if "oneOf" in schema:
        fits = [item for item in schema["oneOf"] if not faults(document, item, value, path)]
        return [] if len(fits) == 1 else [f"{path}: fits {len(fits)} of its alternatives"]
    if "anyOf" in schema:
        tried = [faults(document, item, value, path) for item in schema["anyOf"]]
        return [] if not all(tried) else max(tried, key=len)
    found = _scalar_faults(schema, value, path)
    if isinstance(value, dict):
        found += _object_faults(document, schema, value, path)
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            found += faults(document, schema["items"], item, f"{path}[{number}]")
    return found


def _object_faults(document: Schema, schema: Schema, value: dict[str, Any], path: str) -> list[str]:
    known, more = schema.get("properties"), schema.get("additionalProperties", False)
    found = [f"{path}.{name}: is missing" for name in schema.get("required", []) if name not in value]
    for name, item in value.items():
        if "propertyNames" in schema:
            found += faults(document, schema["propertyNames"], name, f"{path}.{name}")
        if known is not None and name in known:
            found += faults(document, known[name], item, f"{path}.{name}")
        elif isinstance(more, dict):
            found += faults(document, more, item, f"{path}.{name}")
        elif known is not None and not more:
            found.append(f"{path}.{name}: is not in the schema")
    return found


def _scalar_faults(schema: Schema, value: Any, path: str) -> list[str]:
    found = []
    if "type" in schema and not _has_type(schema["type"], value):
        found.append(f"{path}: {value!r} is not of type {schema['type']}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path}: {value!r} is not one of {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        found.append(f"{path}: {value!r} is not {schema['const']}")
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append(f"{path}: {value!r} does not match {schema['pattern']}")
        if not _has_format(schema.get("format"), value):
            found.append(f"{path}: {value!r} is no {schema['format']}")
    return found


def _has_type(names: str | list[str], value: Any) -> bool:
    wanted = [names] if isinstance(names, str) else names
    if isinstance(value, bool):
        return "boolean" in wanted
    return any(isinstance(value, _TYPES[name]) for name in wanted if name != "boolean")


def _has_format(name: str | None, value: str) -> bool:
    try:
        if name == "uuid":
            UUID(value)
        elif name == "date-time":
            assert datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
    return True
