"""Drawing many images into files: in order, resumable, in bounded memory.

A *job* is what is to be drawn, a *segment* a range of its images that is written as a whole, a *chunk* what
one request draws. A segment's file appears by a rename once it is whole, so that what lies there is done: a
run that was killed goes on with the segments that are missing, and the result is the same to the last byte.
"""
