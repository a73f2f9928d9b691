"""Reading and writing files: media, pictures, JSON, folders. Uses neither torch nor a model."""
