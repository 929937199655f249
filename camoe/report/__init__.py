"""Reports for people: the table in the terminal, the HTML page and the summary picture, from metrics.json."""
