"""Several processes of one server on one port: one owner, and followers that only tag.

    the process that was started = owner      Triton, PostgreSQL, refreshes, rollouts, people, HTTP;
      │  │                                    and it tags like the others
      │  └─ private socket ◄── other RPCs ──┐
      └─ link: target, health, metrics ─► follower 1 ... N-1      Tag and TagStream, with the
                                              own decoder threads; the owner's encoders and files

Two processes never do the same work of an owner: what is not tagging is handed on to it
(`rpc.forwarding`). What the followers serve is what the owner serves (`following`): after a swap
they move, and only then does the owner let the old version go (`followers`).

    orders     what an owner tells a follower, and what it hears back
    link       one follower process, as the owner sees it
    followers  keeps N-1 of them running
    joined_metrics   one page of metrics for all
    following  a follower's states
    follower   a follower: `python -m inkling_server.processes.follower`
"""
