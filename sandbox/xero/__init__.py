"""A stand-in for the Xero Accounting API; README.md lists what is modelled and where each fact comes from."""
