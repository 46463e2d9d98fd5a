"""The GNN router: a graph neural network over the knowledge graph. ``training`` alone needs torch."""
