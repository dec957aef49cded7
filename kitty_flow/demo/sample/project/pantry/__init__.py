"""Recipes as plain text: read, scaled, and turned into a shopping list."""
