"""What comes from files and goes into them: media, pictures, JSON, folders. Knows neither torch nor a model."""
