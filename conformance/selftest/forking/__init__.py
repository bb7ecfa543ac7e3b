"""Processes of their own that do not import torch anew: each is forked from one that has."""
