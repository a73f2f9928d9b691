"""What speaker encoders are trained by: losses over classes (`classes`), over the utterances of a batch (`batches`)."""
