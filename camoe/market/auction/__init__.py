"""The market itself: accounts with budgets bid for requests, tick after tick."""
