"""Ad requests through a ranker and a second-price auction, and experiments that compare two models in it."""
