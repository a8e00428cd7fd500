"""The gRPC face of the server: thin servicers around domain objects that know no gRPC.

server.py     builds the grpc.aio server from the parts below
boundary.py   wraps every Inkling RPC: counts, times, and translates errors
status.py     the one table from errors to google.rpc.Status
converters.py messages <-> domain values
*_servicer.py one file per service
streaming.py  many requests of one stream at a time, answered as they finish
draining.py   how the server's end reaches open streams
health.py     grpc.health.v1, per service
"""
