"""A candidate: a user's file, called twice and watched, and the page that shows how it came out."""
