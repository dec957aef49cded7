"""Exchange with other clones: ledgers are united, the commits they speak of are shared, claims are confirmed."""
