"""The registry of models in the lake: which one is served, which run beside it, and who decided so by what."""
