"""CAMoE: shared embeddings, DCN-v2 experts, a softmax gate and a tower per head."""
