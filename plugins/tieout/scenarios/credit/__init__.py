"""Credit: what customers owe, what they may owe, and what becomes of an order that goes beyond it."""
