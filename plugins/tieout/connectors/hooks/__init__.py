"""What vendors send by webhooks: whether it is theirs, and which records it is about. Nothing is read or kept here.

notices.py     Delivery, Notice, signatures' common parts
vendors.py     which vendor signs and speaks how: `HOOKS`
xero.py, hubspot.py, quickbooks.py   one vendor each
"""
