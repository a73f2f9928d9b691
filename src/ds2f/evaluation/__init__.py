"""How well do the faces fit the voices? Retrieval of the true face, distances, baselines, the report.

`ds2f.evaluation.run.evaluate` does all of it; the other modules are its parts, each usable on its own.
"""
