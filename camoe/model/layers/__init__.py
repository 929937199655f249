"""Layers: linear maps, crosses, gates, embeddings, sequences, the scaling of numerics."""
