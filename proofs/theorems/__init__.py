"""The theorems, one file for each subject. `proofs.catalogue` lists them all."""
