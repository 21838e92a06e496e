"""The control plane: which routing holds, who has acknowledged it, how it outlives a crash."""
