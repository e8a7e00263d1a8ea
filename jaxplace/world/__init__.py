"""A model of the world for made scenarios: places, distances, prices, carbon and requests.

`anchors` and the tables in `data/` are measured or published by others; what is assumed is marked
in `assumptions`, and every written scenario carries those sentences with it.
"""
