"""The command line. Exit status: 0 fine, 1 the server said no, 2 wrong usage, 3 no server answers, 130 interrupted."""
