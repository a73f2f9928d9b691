PRAGMA application_id = 1685271142;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE acoustics (video_id INTEGER PRIMARY KEY REFERENCES speech ON DELETE CASCADE, f0_mean_hz REAL, f0_median_hz REAL, f0_p10_hz REAL, f0_p90_hz REAL, f0_spread_semitones REAL, voiced_share REAL, formant1_hz REAL, formant2_hz REAL, formant3_hz REAL, formant4_hz REAL, intensity_mean_db REAL, intensity_spread_db REAL, spectral_centroid_hz REAL, spectral_spread_hz REAL, spectral_slope_db REAL, harmonicity_db REAL, jitter_share REAL, shimmer_share REAL, speaking_rate_per_s REAL, mfcc1_mean REAL, mfcc2_mean REAL, mfcc3_mean REAL, mfcc4_mean REAL, mfcc5_mean REAL, mfcc6_mean REAL, mfcc7_mean REAL, mfcc8_mean REAL, mfcc9_mean REAL, mfcc10_mean REAL, mfcc11_mean REAL, mfcc12_mean REAL, mfcc1_spread REAL, mfcc2_spread REAL, mfcc3_spread REAL, mfcc4_spread REAL, mfcc5_spread REAL, mfcc6_spread REAL, mfcc7_spread REAL, mfcc8_spread REAL, mfcc9_spread REAL, mfcc10_spread REAL, mfcc11_spread REAL, mfcc12_spread REAL);
CREATE TABLE clips (                          -- speech, cut or looped to one length
    video_id       INTEGER NOT NULL REFERENCES speech (video_id) ON DELETE CASCADE,
    seconds        REAL NOT NULL,             -- length of the clip
    speech_seconds REAL NOT NULL,             -- real speech in the clip
    repeats        REAL NOT NULL,             -- 1 = trimmed; 2.5 = the speech was laid 2.5 times end to end
    PRIMARY KEY (video_id, seconds)
) WITHOUT ROWID;
CREATE TABLE crops (
    video_id INTEGER NOT NULL REFERENCES faces (video_id) ON DELETE CASCADE,
    kind     TEXT NOT NULL CHECK (kind IN ('canonical', 'box')),
    webp     BLOB NOT NULL,
    PRIMARY KEY (video_id, kind)
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
CREATE TABLE face_embeddings (
    video_id INTEGER NOT NULL REFERENCES faces (video_id) ON DELETE CASCADE,
    encoder  TEXT NOT NULL,
    vector   BLOB NOT NULL,                   -- float32
    PRIMARY KEY (video_id, encoder)
);
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
CREATE TABLE failures (
    video_id INTEGER NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    stage    TEXT NOT NULL,                   -- open, audio, speech, face, worker, or one model: voice:NAME, ...
    reason   TEXT NOT NULL,
    PRIMARY KEY (video_id, stage)
) WITHOUT ROWID;
CREATE TABLE identities (
    id     INTEGER PRIMARY KEY,
    corpus TEXT NOT NULL,
    name   TEXT NOT NULL,
    split  TEXT NOT NULL CHECK (split IN ('train', 'val', 'test')),
    UNIQUE (corpus, name)
);
CREATE TABLE labels (                         -- what the corpus itself states: age, gender, nationality, ...
    video_id  INTEGER NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    attribute TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (video_id, attribute)
) WITHOUT ROWID;
CREATE TABLE languages (
    video_id    INTEGER NOT NULL REFERENCES speech (video_id) ON DELETE CASCADE,
    model       TEXT NOT NULL,
    language    TEXT NOT NULL,                -- ISO 639-1
    probability REAL NOT NULL,                -- 0..1
    PRIMARY KEY (video_id, model)
) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "meta" VALUES('name','305783fac9f74a78898ba0a2ab703218');
CREATE TABLE recipes (                        -- the settings under which speech or faces were extracted
    key      TEXT PRIMARY KEY,                -- short hash of the settings
    settings TEXT NOT NULL                    -- JSON
);
CREATE TABLE roots (
    id   INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE                 -- absolute path of a folder or of a .tar
);
CREATE TABLE speech (
    video_id INTEGER PRIMARY KEY REFERENCES videos (id) ON DELETE CASCADE,
    start    REAL NOT NULL,                   -- seconds into the file of the first speech
    seconds  REAL NOT NULL                    -- real speech in the file
);
CREATE TABLE speech_audio (                   -- the start of the speech, pauses cut out; clips are cut from it
    video_id INTEGER PRIMARY KEY REFERENCES speech (video_id) ON DELETE CASCADE,
    flac     BLOB NOT NULL                    -- 16 kHz mono 16 bit
);
CREATE TABLE videos (                         -- one file: a recording, or a still picture
    id            INTEGER PRIMARY KEY,
    root_id       INTEGER NOT NULL REFERENCES roots (id) ON DELETE CASCADE,
    path          TEXT NOT NULL,              -- relative to the root, forward slashes
    kind          TEXT NOT NULL CHECK (kind IN ('video', 'still')),
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
    UNIQUE (root_id, path)
);
CREATE TABLE voice_embeddings (
    video_id INTEGER NOT NULL,
    seconds  REAL NOT NULL,
    encoder  TEXT NOT NULL,
    vector   BLOB NOT NULL,                   -- float32
    PRIMARY KEY (video_id, seconds, encoder),
    FOREIGN KEY (video_id, seconds) REFERENCES clips (video_id, seconds) ON DELETE CASCADE
);
CREATE INDEX videos_by_state ON videos (kind, state, speech_recipe, face_recipe);
CREATE INDEX videos_by_identity ON videos (identity_id);
CREATE INDEX voice_embeddings_by_encoder ON voice_embeddings (encoder, seconds);
CREATE INDEX face_embeddings_by_encoder ON face_embeddings (encoder);
CREATE INDEX face_attributes_by_model ON face_attributes (model, attribute);
INSERT INTO roots VALUES (1, '/corpora/videos');
INSERT INTO identities VALUES (1, 'voxceleb', 'id10001', 'train'), (2, 'lfw', 'A_Person', 'test');
INSERT INTO recipes VALUES ('speech', '{}'), ('face', '{}');
INSERT INTO videos VALUES (1, 1, 'id10001/a/1.mp4', 'video', 1, 1000, 17, NULL, 'done', 'speech', 'face', 6.5, 224, 224, 25);
INSERT INTO videos VALUES (4, 1, 'lfw/A_Person/1.webp', 'still', 2, 500, 18, 1024, 'failed', NULL, 'face', 0, 128, 128, 0);
INSERT INTO speech VALUES (1, 0.25, 5.5);
INSERT INTO speech_audio VALUES (1, x'664c6143');
INSERT INTO clips VALUES (1, 6.0, 5.5, 1.1);
INSERT INTO voice_embeddings VALUES (1, 6.0, 'campplus-frames', x'0000803f00000040');
INSERT INTO faces VALUES (1, 1.5, 10, 20, 90, 100, x'00', 0.99, 0.8, 1.0, 1);
INSERT INTO crops VALUES (1, 'canonical', x'52494646');
INSERT INTO face_embeddings VALUES (1, 'dlib', x'0000003f');
INSERT INTO face_attributes VALUES (1, 'ds2f-attributes', 'gender', 'female', 0.9, '{"female": 0.9, "male": 0.1}');
INSERT INTO labels VALUES (1, 'gender', 'female');
INSERT INTO failures VALUES (4, 'face', 'no face found');
INSERT INTO languages VALUES (1, 'whisper', 'en', 0.9);
INSERT INTO acoustics (video_id) VALUES (1);
COMMIT;
