"""The field's published protocols, each in its own module, which states source, definition, and what differs here and
why; docs/evaluation.md shows them side by side.

pins         cross-modal verification lists of Learnable PINs
fame         the FAME challenges of 2024 and 2026, on MAV-Celeb
one_of_n     1:N matching, voice to face and face to voice
sf2f         the table of SF2F and Vox2Face, of generated faces
conventions  equal error rate and detection cost as voxceleb_trainer and WeSpeaker print them
"""
