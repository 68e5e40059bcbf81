"""Count small edits of hand-written backward passes of recurrences that are detected and explained."""
