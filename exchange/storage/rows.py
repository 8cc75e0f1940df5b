"""Rows that the database's functions are given as one argument (migration 0005)."""


def row(kind: str, first: int, width: int) -> str:
    """A row of a composite type, made of so many parameters from `$first` on."""
    return f"row({', '.join(f'${number}' for number in range(first, first + width))})::{kind}"
