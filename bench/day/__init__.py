"""What one more day costs on tables of few and of many days."""
