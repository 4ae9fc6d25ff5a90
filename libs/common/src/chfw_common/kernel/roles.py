"""Who acts: the roles a token carries, and the two in which a Party answers for a hub."""

from enum import StrEnum


class Role(StrEnum):
    """Roles of a User ID. IS and GS are DUIS codes; the others are the organisations of the roll-out."""

    IMPORT_SUPPLIER = "IS"
    GAS_SUPPLIER = "GS"
    CSP = "CSP"
    DCC = "DCC"
    PANEL = "PANEL"


SUPPLIER_ROLES = frozenset({Role.IMPORT_SUPPLIER, Role.GAS_SUPPLIER})
