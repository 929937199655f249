"""Point-in-time joins side by side: data, peers and answers."""
