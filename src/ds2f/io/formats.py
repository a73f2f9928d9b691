"""Which files count as media, and what others are called when they are refused."""

from __future__ import annotations

import av.format

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts", ".vob", ".3gp", ".3g2"}
    | {".flv", ".f4v", ".wmv", ".asf", ".ogv", ".mxf", ".dv", ".rm"}
)
AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".oga", ".aac", ".wma", ".aif", ".aiff", ".aifc", ".caf", ".mka"}
    | {".w64", ".rf64", ".au", ".snd", ".voc", ".sph", ".nist", ".wv", ".tta", ".amr", ".awb", ".3ga", ".weba", ".m4b"}
    | {".mp2", ".ac3", ".spx", ".ape", ".gsm", ".shn"}
)

CONTAINERS = ",".join(
    (
        # Containers of pictures, most often with sound.
        "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,asf,dv,rm,mxf,gxf,wtv,nut,nsv,ivf",
        "h264,hevc,m4v,mjpeg,h261,h263,vc1,obu",
        # Sound: everyday formats, those of speech corpora, telephones and dictation, of broadcasting.
        "wav,w64,flac,mp3,ogg,aac,ac3,eac3,aiff,caf,au,wv,tta,ape,tak,shn,mpc,mpc8,xwma,oma,dts,loas,iff,dsf,mlp,truehd",
        "nistsphere,voc,ircam,sox,paf,epaf,pvf,avr,hcom,wve,amr,amrnb,amrwb,gsm,ilbc,qcp,dss,g722,g723_1,codec2,siff,sds",
    )
)
"""FFmpeg's demuxers that may be used on a file. Playlists (concat, HLS, DASH, IMF, SDP) are excluded, since through one
a file could make us read other files or network addresses."""

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (  # (bytes from the start, signature, what it is)
    (0, b"#EXTM3U", "a playlist (M3U): give ds2f what it lists"),
    (0, b"ffconcat", "a playlist (of FFmpeg): give ds2f what it lists"),
    (0, b"v=0", "a description of a stream (SDP), with nothing of it inside"),
    (0, b"#!SILK_V3", "SILK, as voice messages of WeChat, QQ and Skype: convert it to WAV with a SILK decoder"),
    (1, b"#!SILK_V3", "SILK, as voice messages of WeChat, QQ and Skype: convert it to WAV with a SILK decoder"),
    (0, b"\x03ds2", "DS2, of Olympus dictation machines: convert it to WAV with their program"),
    (0, b"MThd", "MIDI: notes, and no sound"),
    (0, b"\x93NUMPY", "an array of NumPy: load it, and give ds2f the samples and their rate"),
    (0, b"\0BFV", "a Kaldi archive: give ds2f the recordings that it was made of"),
    (0, b"\0BFM", "a Kaldi archive: give ds2f the recordings that it was made of"),
    (0, b"version https://git-lfs", "a pointer of Git LFS and not the file itself: run `git lfs pull`"),
    (0, b"PK\x03\x04", "a ZIP archive: unpack it"),
    (0, b"\x1f\x8b", "a gzip archive: unpack it"),
    (0, b"7z\xbc\xaf", "a 7z archive: unpack it"),
    (0, b"Rar!", "a RAR archive: unpack it"),
    (257, b"ustar", "a tar archive: ingest it, or unpack it"),
    (0, b"%PDF", "a PDF"),
    (0, b"8BPS", "a picture of Photoshop: save it as PNG"),
    (0, b"\xff\x0a", "a JPEG XL picture: save it as PNG"),
    (4, b"JXL \r\n", "a JPEG XL picture: save it as PNG"),
    (0, b"v/1\x01", "an OpenEXR picture: save it as PNG"),
    *((4, b"ftyp" + kind, "a HEIC picture: save it as JPEG") for kind in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")),
    (0, b"\xff\xd8\xff", "a still picture (JPEG)"),
    (0, b"\x89PNG", "a still picture (PNG)"),
    (0, b"GIF8", "a picture (GIF), without sound"),
    (8, b"WEBP", "a still picture (WebP)"),
)


def name_of(head: bytes, error: Exception | None = None) -> str | None:
    """What a file that cannot be read is, from its first kilobyte or from what FFmpeg took it for when it refused; None
    if unknown."""
    if head.startswith(b"NIST_1A"):
        coding = next((line.split()[-1].decode("latin1") for line in head.splitlines() if b"sample_coding" in line), "")
        if coding in ("pcm", "ulaw", "alaw", "mu-law"):
            return None  # a supported format: the file is damaged
        mend = ": unpack it with sph2pipe or w_decode" if "embedded" in coding else ""
        return f"NIST SPHERE, coded as {coding or 'something unstated'}{mend}"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page: the download went wrong"
    if b"<svg" in text:
        return "a drawing (SVG): save it as PNG"
    if text.startswith(b"<?xml"):
        return "XML (a playlist, a manifest or a page), not a recording"
    known = next((name for at, start, name in _SIGNATURES if head[at:].startswith(start)), None)
    _, format, message = getattr(error, "log", None) or (0, "", "")
    if known or "not on whitelist" not in message:
        return known
    name = av.format.ContainerFormat(format, "r").long_name
    # Raw streams and lyrics have no signature: almost anything may look like them.
    return None if name.startswith("raw ") or format == "lrc" else {"tty": "text"}.get(format, name)
