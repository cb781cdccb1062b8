"""What describe says of objects and fields."""

from __future__ import annotations

from typing import Any

from sandbox.salesforce.access import Access
from sandbox.salesforce.fields import NUMBER_TYPES, Field, SObject
from sandbox.salesforce.org import Org
from sandbox.salesforce.soql.render import visible

_SOAP = {"id": "tns:ID", "reference": "tns:ID", "boolean": "xsd:boolean", "int": "xsd:int", "date": "xsd:date"}
_SOAP |= {"datetime": "xsd:dateTime", "address": "urn:address"} | dict.fromkeys(NUMBER_TYPES, "xsd:double")
_MAX_BATCH = 200


def describe_all(org: Org, access: Access, version: str) -> dict[str, Any]:
    """The global describe."""
    shown = [summary(one, access, version) for one in org.schema.objects.values() if access.may("read", one)]
    return {"encoding": "UTF-8", "maxBatchSize": _MAX_BATCH, "sobjects": shown}


def summary(sobject: SObject, access: Access, version: str) -> dict[str, Any]:
    """An object as in the global describe."""
    url = f"/services/data/{version}/sobjects/{sobject.name}"
    create, update, delete = (access.may(right, sobject) for right in ("create", "update", "delete"))
    return {
        "name": sobject.name,
        "label": sobject.label,
        "labelPlural": sobject.label_plural,
        "keyPrefix": sobject.prefix,
        "custom": sobject.custom,
        "customSetting": False,
        "activateable": False,
        "createable": sobject.createable and create,
        "updateable": sobject.createable and update,
        "deletable": sobject.deletable and delete,
        "undeletable": sobject.deletable and delete,
        "mergeable": sobject.name in ("Account", "Contact"),
        "replicateable": True,
        "triggerable": sobject.createable,
        "queryable": True,
        "retrieveable": True,
        "searchable": True,
        "layoutable": True,
        "feedEnabled": False,
        "mruEnabled": True,
        "hasSubtypes": False,
        "isSubtype": False,
        "deprecatedAndHidden": False,
        "urls": {"sobject": url, "describe": f"{url}/describe", "rowTemplate": url + "/{ID}"},
    }


def describe(org: Org, sobject: SObject, access: Access, version: str) -> dict[str, Any]:
    """One object with its fields and child relationships."""
    currencies = [one["IsoCode"] for one in org.table("CurrencyType").values() if one["IsActive"]]
    children = [
        {"childSObject": child, "field": field.name, "relationshipName": field.children, "cascadeDelete": field.cascade}
        for child, field in org.schema.children[sobject.name].values()
        if access.may("read", org.schema.objects[child])
    ]
    fields = [_field(sobject, one, access, currencies) for one in visible(sobject, access)]
    return {**summary(sobject, access, version), "childRelationships": children, "fields": fields}


def _field(sobject: SObject, field: Field, access: Access, currencies: list[str]) -> dict[str, Any]:
    values = currencies if field.name == "CurrencyIsoCode" else field.values
    number = field.type in NUMBER_TYPES
    whole = field.type == "int"
    return {
        "name": field.name,
        "label": field.label,
        "type": field.type,
        "soapType": _SOAP.get(field.type, "xsd:string"),
        "length": field.length,
        "byteLength": field.length * 3 if field.type not in ("id", "reference") else field.length,
        "precision": field.precision if number else 0,
        "scale": field.scale if number else 0,
        "digits": 8 if whole else 0,
        "nillable": not field.required and field.type not in ("boolean", "id"),
        "createable": field.createable and access.may("create", sobject),
        "updateable": field.updateable and access.may("update", sobject),
        "custom": field.custom,
        "externalId": field.external_id,
        "idLookup": field.external_id or field.name == "Id",
        "unique": field.unique,
        "caseSensitive": field.case_sensitive,
        "autoNumber": field.auto_number is not None,
        "calculated": False,
        "nameField": field.name == sobject.name_field,
        "defaultValue": field.default,
        "defaultedOnCreate": field.default is not None or not field.createable or field.name == "OwnerId",
        "filterable": field.type != "address",
        "sortable": field.type != "address",
        "groupable": field.type in ("string", "picklist", "reference", "boolean", "date", "id"),
        "restrictedPicklist": field.restricted,
        "picklistValues": [
            {"active": True, "defaultValue": value == field.default, "label": value, "validFor": None, "value": value}
            for value in values
        ],
        "referenceTo": list(field.reference_to),
        "relationshipName": field.relationship,
        "cascadeDelete": field.cascade,
    }
