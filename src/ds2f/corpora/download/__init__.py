"""Getting corpora: resumable downloads, checked archives, segments of videos. What is there is never fetched again."""
