"""What is told about the past: the life of one mail, later the plan's indicators and exports."""
