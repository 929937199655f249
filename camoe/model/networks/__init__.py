"""Networks made of the layers: experts, towers, and the bodies that join them."""
