"""Who may share a port with whom."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from inkling_server.rpc.listening import Endpoint, PortTaken, Sharing, bind, make_server


def endpoint(port: int, sharing: Sharing) -> Endpoint:
    return Endpoint("127.0.0.1", port, 2**20, 100, sharing=sharing)


class Named(grpc.GenericRpcHandler):
    """Answers everything with a name."""

    def __init__(self, name: bytes) -> None:
        async def say(_requests: object, context: Any) -> None:
            await context.write(name)

        self._handler: Any = grpc.stream_stream_rpc_method_handler(say)

    def service(self, handler_call_details: Any) -> Any:
        del handler_call_details
        return self._handler


@asynccontextmanager
async def listening(port: int, sharing: Sharing, name: bytes = b"") -> AsyncIterator[int]:
    wanted = endpoint(port, sharing)
    server = make_server(wanted, [])
    server.add_generic_rpc_handlers((Named(name),))
    try:
        bound = bind(server, wanted)
        await server.start()
        yield bound
    finally:
        await server.stop(0)


async def ask(port: int) -> bytes:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        start: Any = channel.stream_stream("/a/b")
        name: bytes = await start().read()
        return name


async def test_further_processes_share_new_connections_with_the_first() -> None:
    async with listening(0, "first", b"1") as port, listening(port, "further", b"2"):
        seen = {await ask(port) for _ in range(64)}
    assert seen == {b"1", b"2"}


@pytest.mark.parametrize("second", ["alone", "first"])
@pytest.mark.parametrize("first", ["alone", "first"])
async def test_another_server_on_a_taken_port_is_refused(first: Sharing, second: Sharing) -> None:
    async with listening(0, first) as port:
        with pytest.raises(PortTaken, match=f"127.0.0.1:{port}: port taken"):
            async with listening(port, second):
                pass
        assert await ask(port) == b""


async def test_a_port_that_is_taken_by_anybody_is_refused() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PortTaken):
            async with listening(other.getsockname()[1], "first"):
                pass


async def test_connections_that_were_closed_a_moment_ago_do_not_keep_the_port() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC does
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            taken, _ = server.accept()
            taken.close()  # this side closes first: TIME_WAIT is the port's
    async with listening(port, "first", b"again"):
        assert await ask(port) == b"again"


async def test_a_host_that_is_not_ours_is_refused() -> None:
    wanted = Endpoint("192.0.2.1", 50_999, 2**20, 100, sharing="first")
    with pytest.raises(PortTaken, match="host not ours"):
        bind(make_server(wanted, []), wanted)
