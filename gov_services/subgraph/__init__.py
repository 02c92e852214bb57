"""What all subgraphs share: the way in, the context, the unit of work, errors, events. It has no schema of its own."""
