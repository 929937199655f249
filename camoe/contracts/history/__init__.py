"""History features: what is declared, and the pure rules that both sides keep."""
