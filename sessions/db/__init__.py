"""Read the database's clock, look up many values, read many rows in batches."""
