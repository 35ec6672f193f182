"""The corridor: the only place that knows the order of the rooms. Read accept, then deliver, then reply."""
