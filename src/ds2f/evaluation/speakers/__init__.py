"""Speaker encoders measured as the field measures them: `ds2f verify`.

trials       lists of trials and files of scores, in the forms of VoxCeleb, Kaldi and WeSpeaker
people       whose recordings they are: intervals, cohorts, calibration and leaks go by speakers
hear         recordings to vectors: crops, lengths, codecs, and how good a recording is; kept, so that a run goes on
scoring      cosine, or the mean of crops; adaptive s-norm
calibration  scores to log-likelihood ratios, by logistic regression that knows the recordings' quality; Cllr
measures     error rates by several conventions, with intervals by speaker, overall and by group
det          the DET plot
run          all of it, for one list
"""
