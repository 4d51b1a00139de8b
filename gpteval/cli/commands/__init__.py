"""The commands, one a file: its options as they are typed, what it calls, and what it prints.

``app.py`` imports all of them for --help and completion: what takes long to import (numpy, rich, torch, and what of
gpteval needs them) is imported where it is used.
"""
