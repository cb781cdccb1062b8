"""Salesforce: REST queries, sObject collections, Bulk API 2.0. README.md says how to set an organisation up."""
