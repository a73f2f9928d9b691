"""The demo: the whole way, on synthetic people that ship with the package."""
