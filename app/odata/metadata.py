"""The service document and `$metadata`: what there is, made from the views."""

from __future__ import annotations

from functools import cache
from typing import Any
from xml.etree import ElementTree as ET

from sqlalchemy import Column

from app.analytics.views import VIEWS, View

NAMESPACE = "Parley"
_EDMX = "http://docs.oasis-open.org/odata/ns/edmx"
_EDM = "http://docs.oasis-open.org/odata/ns/edm"

_TYPES = {
    "BIGINT": "Edm.Int64",
    "TEXT": "Edm.String",
    "DATETIME": "Edm.DateTimeOffset",
    "BOOLEAN": "Edm.Boolean",
    "DOUBLE": "Edm.Double",
    "CHAR(32)": "Edm.Guid",
}


def edm_type(column: Column[Any]) -> str:
    """A column's type in OData."""
    return _TYPES[str(column.type)]


def service_document(root: str) -> dict[str, Any]:
    """The entity sets."""
    sets = [{"name": name, "kind": "EntitySet", "url": name} for name in VIEWS]
    return {"@odata.context": f"{root}$metadata", "value": sets}


@cache
def csdl() -> bytes:
    """`$metadata` as CSDL XML 4.0."""
    ET.register_namespace("edmx", _EDMX)
    ET.register_namespace("", _EDM)
    edmx = ET.Element(f"{{{_EDMX}}}Edmx", Version="4.0")
    services = ET.SubElement(edmx, f"{{{_EDMX}}}DataServices")
    schema = ET.SubElement(services, f"{{{_EDM}}}Schema", Namespace=NAMESPACE)
    for view in VIEWS.values():
        _entity_type(schema, view)
    container = ET.SubElement(schema, f"{{{_EDM}}}EntityContainer", Name="Analytics")
    for view in VIEWS.values():
        kind = f"{NAMESPACE}.{view.entity}"
        each = ET.SubElement(container, f"{{{_EDM}}}EntitySet", Name=view.name, EntityType=kind)
        for name, link in view.links.items():
            ET.SubElement(each, f"{{{_EDM}}}NavigationPropertyBinding", Path=name, Target=link.view)
    document: bytes = ET.tostring(edmx, encoding="utf-8", xml_declaration=True)
    return document


def _entity_type(schema: ET.Element, view: View) -> None:
    entity = ET.SubElement(schema, f"{{{_EDM}}}EntityType", Name=view.entity)
    key = ET.SubElement(entity, f"{{{_EDM}}}Key")
    for name in view.key:
        ET.SubElement(key, f"{{{_EDM}}}PropertyRef", Name=name)
    for column in view.table.c:
        attributes = {"Name": column.name, "Type": edm_type(column)}
        if not column.nullable:
            attributes["Nullable"] = "false"
        if attributes["Type"] == "Edm.DateTimeOffset":
            attributes["Precision"] = "6"
        ET.SubElement(entity, f"{{{_EDM}}}Property", attributes)
    for name, link in view.links.items():
        target = f"{NAMESPACE}.{VIEWS[link.view].entity}"
        kind = f"Collection({target})" if link.many else target
        ET.SubElement(entity, f"{{{_EDM}}}NavigationProperty", Name=name, Type=kind)
