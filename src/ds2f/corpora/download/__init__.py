"""Downloads corpora: resumable downloads, verified archives, segments of videos. Existing files are never fetched
again."""
