"""Salesforce: REST queries, sObject collections, Bulk API 2.0. README.md says how to set an organisation up."""

from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.connectors.salesforce.load import SaveResult

__all__ = ["SalesforceConnector", "SaveResult"]
