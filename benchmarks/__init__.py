"""What things cost, measured beside what else there is: each file is a program that prints a table."""
