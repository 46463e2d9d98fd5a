"""Trains the network, in torch and torch-geometric (the extra ``gnn``); nothing that serves imports from here."""
