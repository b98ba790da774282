"""A second reader and writer of the personal server archive, written from SPEC.md alone.

It shares no line with the Rust crate beside it: where the two disagree about an archive, one of them, or the
specification, is wrong. Only the standard library is used; `age` and `ssh-keygen` are run as commands.
"""

VERSION = "1.0"
