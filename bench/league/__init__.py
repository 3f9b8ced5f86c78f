"""The league: every recipe on the same data, through the same commands, for the same CPU time."""
