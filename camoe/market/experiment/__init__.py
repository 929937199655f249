"""Two models in one market: arms, designs, estimates, and what they can show."""
