"""The whole flow: accept (durably), read (no transaction), file (one transaction).

accept.py   one frame in, one reply out, after the bytes are durable
read.py     bytes to a Translation: parse, translate; a defect becomes a hold with its place
file.py     one part: decide the patient and the version, compose, write, in one transaction
"""
