"""The commands, by what they are for: options as they are typed, and the function that does the work.

Heavy libraries are imported by the command that needs them, so that --help is instant.
"""
