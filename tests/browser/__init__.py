"""The dashboard as a person meets it: a real server, real log lines, Debian's Chromium."""
