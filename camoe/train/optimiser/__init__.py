"""The optimisers: AdamW for dense weights, a choice for the embeddings, one schedule for both."""
