-- A dataset of schema version 3, as its ds2f made it.
PRAGMA application_id = 1685271142;
PRAGMA user_version = 3;
BEGIN;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE roots (
    id   INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,                -- absolute path of a folder or of a .tar
    name TEXT                                 -- the end of it, as much as no other root has; NULL: not needed yet
);
CREATE TABLE identities (
    id        INTEGER PRIMARY KEY,
    corpus    TEXT NOT NULL,
    name      TEXT NOT NULL,
    split     TEXT NOT NULL CHECK (split IN ('train', 'val', 'test')),   -- the same for all identities of a person
    person_id INTEGER REFERENCES identities (id) ON DELETE SET NULL,     -- whichever stands for the person; NULL: it
    UNIQUE (corpus, name)
);
CREATE TABLE known_as (                       -- tables of people: all names of one row are one person's
    corpus TEXT NOT NULL,
    name   TEXT NOT NULL,
    source TEXT NOT NULL,                     -- the file
    row    INTEGER NOT NULL,                  -- in it
    PRIMARY KEY (corpus, name, source, row)
) WITHOUT ROWID;
CREATE TABLE recipes (                        -- the settings under which speech or faces were extracted
    key      TEXT PRIMARY KEY,                -- short hash of the settings
    settings TEXT NOT NULL                    -- JSON
);
CREATE TABLE videos (                         -- one file: a video, a sound or a still picture; or a part of a sound
    id            INTEGER PRIMARY KEY AUTOINCREMENT,   -- never given again: a late answer must meet nobody else
    root_id       INTEGER NOT NULL REFERENCES roots (id) ON DELETE CASCADE,
    path          TEXT NOT NULL,              -- relative to the root, forward slashes
    kind          TEXT NOT NULL CHECK (kind IN ('video', 'sound', 'still')),
    identity_id   INTEGER NOT NULL REFERENCES identities (id),
    size          INTEGER NOT NULL,           -- bytes
    mtime_ns      INTEGER NOT NULL,
    tar_offset    INTEGER,                    -- bytes, only inside a tar
    state         TEXT NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'done', 'failed')),
    speech_recipe TEXT REFERENCES recipes (key),   -- NULL: not tried yet
    face_recipe   TEXT REFERENCES recipes (key),
    duration      REAL,                       -- seconds
    width         INTEGER,                    -- pixels
    height        INTEGER,
    fps           REAL,
    part_start    REAL,                       -- seconds into the sound; NULL: all of it
    part_seconds  REAL,
    part_channel  INTEGER,                    -- counted from 1; NULL: all; see `types.Part`
    stream        INTEGER,                    -- picture that was looked at, as FFmpeg counts; NULL: not known
    UNIQUE (root_id, path)
);
CREATE TABLE speech (
    video_id INTEGER PRIMARY KEY REFERENCES videos (id) ON DELETE CASCADE,
    start    REAL NOT NULL,                   -- seconds into the file of the first speech
    seconds  REAL NOT NULL,                   -- real speech in the part of the file that was heard
    stream   INTEGER,                         -- sound that was heard, as FFmpeg counts streams; NULL: not known
    channels TEXT                             -- of it: "1 of 2", "mean of 2"
);
CREATE TABLE speech_audio (                   -- the start of the speech, pauses cut out; clips are cut from it
    video_id INTEGER PRIMARY KEY REFERENCES speech (video_id) ON DELETE CASCADE,
    flac     BLOB NOT NULL                    -- 16 kHz mono 16 bit
);
CREATE TABLE clips (                          -- speech, cut or looped to one length
    video_id       INTEGER NOT NULL REFERENCES speech (video_id) ON DELETE CASCADE,
    seconds        REAL NOT NULL,             -- length of the clip
    speech_seconds REAL NOT NULL,             -- real speech in the clip
    repeats        REAL NOT NULL,             -- 1 = trimmed; 2.5 = the speech was laid 2.5 times end to end
    PRIMARY KEY (video_id, seconds)
) WITHOUT ROWID;
CREATE TABLE voice_embeddings (
    video_id INTEGER NOT NULL,
    seconds  REAL NOT NULL,
    encoder  TEXT NOT NULL,
    vector   BLOB NOT NULL,                   -- float32
    PRIMARY KEY (video_id, seconds, encoder),
    FOREIGN KEY (video_id, seconds) REFERENCES clips (video_id, seconds) ON DELETE CASCADE
);
CREATE TABLE languages (
    video_id    INTEGER NOT NULL REFERENCES speech (video_id) ON DELETE CASCADE,
    model       TEXT NOT NULL,
    language    TEXT NOT NULL,                -- ISO 639-1
    probability REAL NOT NULL,                -- 0..1
    PRIMARY KEY (video_id, model)
) WITHOUT ROWID;
CREATE TABLE faces (                          -- the face kept
    video_id  INTEGER PRIMARY KEY REFERENCES videos (id) ON DELETE CASCADE,
    time      REAL NOT NULL,                  -- seconds into the file
    x REAL NOT NULL, y REAL NOT NULL, w REAL NOT NULL, h REAL NOT NULL,   -- box, pixels
    landmarks BLOB NOT NULL,                  -- 5 x 2 float32: eyes, nose, mouth corners; pixels
    score     REAL NOT NULL,                  -- detector, 0..1
    quality   REAL NOT NULL,                  -- 0..1
    coverage  REAL NOT NULL,                  -- share of the canonical crop inside the picture, 0..1
    people    INTEGER NOT NULL                -- seen in the file; 1 = nobody else
);
CREATE TABLE crops (
    video_id INTEGER NOT NULL REFERENCES faces (video_id) ON DELETE CASCADE,
    kind     TEXT NOT NULL CHECK (kind IN ('canonical', 'box')),
    webp     BLOB NOT NULL,
    PRIMARY KEY (video_id, kind)
);
CREATE TABLE face_embeddings (
    video_id INTEGER NOT NULL REFERENCES faces (video_id) ON DELETE CASCADE,
    encoder  TEXT NOT NULL,
    vector   BLOB NOT NULL,                   -- float32
    PRIMARY KEY (video_id, encoder)
);
CREATE TABLE face_attributes (                -- what a model thinks; what the corpus states is in labels
    video_id     INTEGER NOT NULL REFERENCES faces (video_id) ON DELETE CASCADE,
    model        TEXT NOT NULL,
    attribute    TEXT NOT NULL CHECK (attribute IN ('age', 'gender', 'ethnicity')),
    value        NOT NULL,                    -- expected age in years, or the likeliest name
    probability  REAL,                        -- of that value, 0..1; NULL for age
    distribution TEXT NOT NULL,               -- JSON: {name or decade: probability}
    PRIMARY KEY (video_id, model, attribute)
) WITHOUT ROWID;
CREATE TABLE labels (                         -- what the corpus itself states: age, gender, nationality, ...
    video_id  INTEGER NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    attribute TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (video_id, attribute)
) WITHOUT ROWID;
CREATE TABLE failures (
    video_id INTEGER NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    stage    TEXT NOT NULL,                   -- open, audio, speech, face, worker, or one model: voice:NAME, ...
    reason   TEXT NOT NULL,
    PRIMARY KEY (video_id, stage)
) WITHOUT ROWID;
CREATE TABLE outputs (                        -- folders that hold something of people in here: `ds2f forget` goes there
    path TEXT PRIMARY KEY,                    -- absolute
    kind TEXT NOT NULL CHECK (kind IN ('faces', 'export', 'report'))
) WITHOUT ROWID;
CREATE TABLE acoustics (video_id INTEGER PRIMARY KEY REFERENCES speech ON DELETE CASCADE, f0_mean_hz REAL, f0_median_hz REAL, f0_p10_hz REAL, f0_p90_hz REAL, f0_spread_semitones REAL, voiced_share REAL, formant1_hz REAL, formant2_hz REAL, formant3_hz REAL, formant4_hz REAL, intensity_mean_db REAL, intensity_spread_db REAL, spectral_centroid_hz REAL, spectral_spread_hz REAL, spectral_slope_db REAL, harmonicity_db REAL, jitter_share REAL, shimmer_share REAL, speaking_rate_per_s REAL, mfcc1_mean REAL, mfcc2_mean REAL, mfcc3_mean REAL, mfcc4_mean REAL, mfcc5_mean REAL, mfcc6_mean REAL, mfcc7_mean REAL, mfcc8_mean REAL, mfcc9_mean REAL, mfcc10_mean REAL, mfcc11_mean REAL, mfcc12_mean REAL, mfcc1_spread REAL, mfcc2_spread REAL, mfcc3_spread REAL, mfcc4_spread REAL, mfcc5_spread REAL, mfcc6_spread REAL, mfcc7_spread REAL, mfcc8_spread REAL, mfcc9_spread REAL, mfcc10_spread REAL, mfcc11_spread REAL, mfcc12_spread REAL);
CREATE UNIQUE INDEX roots_by_name ON roots (name);
CREATE INDEX known_as_by_row ON known_as (source, row);
CREATE INDEX videos_by_state ON videos (kind, state, speech_recipe, face_recipe);
CREATE INDEX videos_by_identity ON videos (identity_id, state, kind);
CREATE INDEX voice_embeddings_by_encoder ON voice_embeddings (encoder, seconds);
CREATE INDEX face_embeddings_by_encoder ON face_embeddings (encoder);
CREATE INDEX face_attributes_by_model ON face_attributes (model, attribute);
INSERT INTO acoustics (video_id, f0_mean_hz, f0_median_hz, f0_p10_hz, f0_p90_hz, f0_spread_semitones, voiced_share, formant1_hz, formant2_hz, formant3_hz, formant4_hz, intensity_mean_db, intensity_spread_db, spectral_centroid_hz, spectral_spread_hz, spectral_slope_db, harmonicity_db, jitter_share, shimmer_share, speaking_rate_per_s, mfcc1_mean, mfcc2_mean, mfcc3_mean, mfcc4_mean, mfcc5_mean, mfcc6_mean, mfcc7_mean, mfcc8_mean, mfcc9_mean, mfcc10_mean, mfcc11_mean, mfcc12_mean, mfcc1_spread, mfcc2_spread, mfcc3_spread, mfcc4_spread, mfcc5_spread, mfcc6_spread, mfcc7_spread, mfcc8_spread, mfcc9_spread, mfcc10_spread, mfcc11_spread, mfcc12_spread) VALUES (1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO clips (video_id, seconds, speech_seconds, repeats) VALUES (1, 6.0, 5.5, 1.1);
INSERT INTO crops (video_id, kind, webp) VALUES (1, 'canonical', x'52494646');
INSERT INTO face_attributes (video_id, model, attribute, value, probability, distribution) VALUES (1, 'ds2f-attributes', 'gender', 'female', 0.9, '{"female": 0.9, "male": 0.1}');
INSERT INTO face_embeddings (video_id, encoder, vector) VALUES (1, 'dlib', x'0000003f');
INSERT INTO faces (video_id, time, x, y, w, h, landmarks, score, quality, coverage, people) VALUES (1, 1.5, 10.0, 20.0, 90.0, 100.0, x'00', 0.99, 0.8, 1.0, 1);
INSERT INTO failures (video_id, stage, reason) VALUES (4, 'face', 'no face found');
INSERT INTO identities (id, corpus, name, split, person_id) VALUES (1, 'voxceleb', 'id10001', 'train', NULL);
INSERT INTO identities (id, corpus, name, split, person_id) VALUES (2, 'lfw', 'A_Person', 'test', NULL);
INSERT INTO labels (video_id, attribute, value) VALUES (1, 'gender', 'female');
INSERT INTO languages (video_id, model, language, probability) VALUES (1, 'whisper', 'en', 0.9);
INSERT INTO meta (key, value) VALUES ('name', '305783fac9f74a78898ba0a2ab703218');
INSERT INTO recipes (key, settings) VALUES ('speech', '{}');
INSERT INTO recipes (key, settings) VALUES ('face', '{}');
INSERT INTO roots (id, path, name) VALUES (1, '/corpora/videos', NULL);
INSERT INTO speech (video_id, start, seconds, stream, channels) VALUES (1, 0.25, 5.5, NULL, NULL);
INSERT INTO speech_audio (video_id, flac) VALUES (1, x'664c6143');
INSERT INTO voice_embeddings (video_id, seconds, encoder, vector) VALUES (1, 6.0, 'campplus-frames', x'0000803f00000040');
INSERT INTO videos (id, root_id, path, kind, identity_id, size, mtime_ns, tar_offset, state, speech_recipe, face_recipe, duration, width, height, fps, part_start, part_seconds, part_channel, stream) VALUES (1, 1, 'id10001/a/1.mp4', 'video', 1, 1000, 17, NULL, 'done', 'speech', 'face', 6.5, 224, 224, 25.0, NULL, NULL, NULL, NULL);
INSERT INTO videos (id, root_id, path, kind, identity_id, size, mtime_ns, tar_offset, state, speech_recipe, face_recipe, duration, width, height, fps, part_start, part_seconds, part_channel, stream) VALUES (4, 1, 'lfw/A_Person/1.webp', 'still', 2, 500, 18, 1024, 'failed', NULL, 'face', 0.0, 128, 128, 0.0, NULL, NULL, NULL, NULL);
INSERT INTO outputs VALUES ('/corpora/faces', 'faces');
COMMIT;
