"""Cross-framework gradient verification for recurrent networks."""
