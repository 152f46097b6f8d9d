"""What a finished comparison looks like: one offline page, tables, figures.

Everything here reads the plain dictionary that a comparison writes as ``results.json`` and needs
neither the data nor the networks, so a report can be drawn again at any time, anywhere.
"""
