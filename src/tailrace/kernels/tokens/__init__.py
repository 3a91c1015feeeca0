"""Texts to tokens, and tokens to the filters and patterns of the token index."""
