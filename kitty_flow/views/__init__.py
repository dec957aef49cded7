"""What people see of a mission: plans and boards as text, the DAG as Mermaid, DOT and SVG. Pure and deterministic."""
