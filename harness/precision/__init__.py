"""How exact an answer is: rounding noise, error floor, intervals, kinks, perturbations, and the tolerance."""
