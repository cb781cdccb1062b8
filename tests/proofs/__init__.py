"""Independent arithmetic over the real CSV files: csv and Decimal, nothing of the product."""
