"""ASTERIX, the binary format of radars: what a record holds (tables), how it is read and written, what it means to us.

`layout` and `records` know nothing of any category; the modules `cat...` are tables of items; `plots` turns what radars
send into rows of plots, `write` does the reverse for simulated radars and writes our tracks.
"""
