"""Content and people: what is taken in, what becomes known of people, and what is shown to them.

It joins `profiles` (maths) with `storage` (SQL). It knows no gRPC.
"""
