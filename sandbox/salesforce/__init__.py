"""A stand-in for one Salesforce organisation: answers as the REST API does, knows nothing of who calls."""
