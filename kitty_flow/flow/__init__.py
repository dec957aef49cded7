"""The use cases: adopt, record, next, run, review, recover, explain."""
