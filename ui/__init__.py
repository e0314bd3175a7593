"""What people use: the `registry` command. No SQL, no tensors and no training loop live here."""
