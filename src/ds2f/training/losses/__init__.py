"""Training losses of speaker encoders: over classes (`classes`), and over the utterances of a batch (`batches`)."""
