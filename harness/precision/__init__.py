"""The precision of answers: rounding noise, error floor, intervals, kinks, perturbations, and the tolerance."""
