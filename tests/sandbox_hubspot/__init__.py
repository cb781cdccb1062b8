"""The HubSpot sandbox over real HTTP."""
