"""Cases that set something for their whole module: a module each."""
