"""The tables that a run writes, and the locks under which it writes them."""
