"""Plan and execution: from decisions to operations in order, and what is still owed afterwards."""
