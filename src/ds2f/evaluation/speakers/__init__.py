"""Speaker encoders, measured as is usual in the field: `ds2f verify`.

trials       lists of trials and files of scores, in the formats of VoxCeleb, Kaldi and WeSpeaker
people       whose recordings they are: intervals, cohorts, calibration and leaks go by speaker
encoding     recordings to vectors: crops, lengths, codecs, and recording quality; cached, so that a run resumes
scoring      cosine, or the mean over crops; adaptive s-norm
calibration  scores to log-likelihood ratios, by logistic regression that uses the recordings' quality; Cllr
measures     error rates by several conventions, with intervals by speaker, overall and by group
det          the DET plot
run          all of it, for one list
"""
