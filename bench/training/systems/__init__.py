"""One module a library, whose `build` makes a `rows.Trainer`; imported in that library's environment only."""
