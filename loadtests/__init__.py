"""Load generators, side-by-side runs, budgets and their report; nothing of the product imports it."""
