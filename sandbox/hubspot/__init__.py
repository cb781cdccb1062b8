"""The HubSpot sandbox: the part of the CRM API that order-to-cash integrations use."""
