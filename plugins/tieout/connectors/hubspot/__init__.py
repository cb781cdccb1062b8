"""HubSpot: the CRM's objects by private app or OAuth."""
