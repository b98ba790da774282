"""The fixed words and numbers of the format (clauses 2, 3.3, 5.2, 5.10, 6.2)."""

from __future__ import annotations

MIB = 1024 * 1024

# 3.7: the tag files in the order in which an archive has them.
TAG_FILES = (
    "bagit.txt",
    "bag-info.txt",
    "tagmanifest-sha256.txt",
    "tagmanifest-sha256.txt.sig",
    "pcc.json",
    "bagit-profile.json",
    "START-HERE.html",
    "manifest-sha256.txt",
)
TAG_RANK = {name: rank for rank, name in enumerate(TAG_FILES)}

# 5.3: the tag manifest vouches for all tag files but itself and its signature.
VOUCHED_TAG_FILES = tuple(sorted(set(TAG_FILES) - {"tagmanifest-sha256.txt", "tagmanifest-sha256.txt.sig"}))

# 10.2: the same of a delta, whose `full/…` are tag files of what comes of it.
DELTA_TAG_FILES = (
    *TAG_FILES,
    "fetch.txt",
    "full/START-HERE.html",
    "full/pcc.json",
    "full/tagmanifest-sha256.txt",
    "full/tagmanifest-sha256.txt.sig",
)
DELTA_VOUCHED = tuple(sorted(set(DELTA_TAG_FILES) - {"tagmanifest-sha256.txt", "tagmanifest-sha256.txt.sig"}))

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
NAMESPACE = "pcc-export@v1"

MAX_DOCUMENT = 8 * MIB
MAX_RATIO = 100
MAX_ROW = 4 * MIB
MAX_DEPTH = 64
MAX_PATH_CHARACTERS = 180
MAX_NAME_BYTES = 255
MAX_SAFE = 2**53 - 1

MAX_PCC = MIB
MAX_START_HERE = 16 * MIB
MAX_SMALL_TAG_FILE = 64 * 1024
MANIFEST_BYTES_PER_ENTRY = 787
FETCH_BYTES_PER_ENTRY = 788

DEFAULT_MAX_ENTRIES = 1_000_000

CHUNK = 256 * 1024
