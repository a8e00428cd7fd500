"""An operation of any kind as a message of `google.longrunning`.

What each kind says of itself: `graph_converters` for refreshes, `model_converters` for rollouts,
`profile_converters` for refreshes of people.
"""

from google.longrunning import operations_pb2

from inkling_server.operations import Operation
from inkling_server.people.operation import PeopleOperation
from inkling_server.refresh.operation import RefreshOperation
from inkling_server.rollout.operation import RolloutOperation
from inkling_server.rpc import graph_converters
from inkling_server.rpc.model_converters import to_rollout
from inkling_server.rpc.profile_converters import to_people_operation


def to_operation(operation: Operation) -> operations_pb2.Operation:
    """An operation at one moment."""
    if isinstance(operation, RefreshOperation):
        return graph_converters.to_operation(operation)
    if isinstance(operation, RolloutOperation):
        return to_rollout(operation)
    if isinstance(operation, PeopleOperation):
        return to_people_operation(operation)
    raise TypeError(f"no message for {type(operation).__name__}")
