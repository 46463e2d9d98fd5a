"""The schema, one numbered step after another. A new database is made by taking all of them."""
