"""The trained models as torch modules and files, without training code."""
