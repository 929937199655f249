"""Reading raw tables: files, columns, days, damage."""
