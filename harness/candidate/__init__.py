"""A candidate: a user's file, called twice and watched, and the page with its result."""
