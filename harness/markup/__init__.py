"""HTML for notebooks, without scripts: elements whose texts are escaped, tables, and heatmaps with their gates."""

from harness.markup.heatmap import heatmap, heatmaps
from harness.markup.html import Html, element, output, table, verdict

__all__ = ["Html", "element", "heatmap", "heatmaps", "output", "table", "verdict"]
