"""The fault gallery: ``make gallery`` commits every fault on a small case, and shows its effects."""
