"""The commands, one module per noun. Importing them is quick: each command imports what it needs."""
