"""Records: deposits, their rows and what becomes of them."""
