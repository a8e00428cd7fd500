"""A scripted ProfileService (and Operations) for the client's tests."""

import threading
from datetime import UTC, datetime
from typing import Any, NoReturn

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import empty_pb2
from google.rpc import status_pb2
from grpc_status import rpc_status

from inkling.v1 import profile_pb2, profile_pb2_grpc
from tests.client.fake_content import CLUSTERS
from tests.client.fake_server import GRAPH, MODEL, status

OPERATION = "operations/people-1"
TIME = datetime(2026, 11, 2, 10, 0, 0, tzinfo=UTC)
UNKNOWN_USER = status(grpc.StatusCode.NOT_FOUND, "UNKNOWN_USER", "nothing of such a person")
CANCELLED = status(grpc.StatusCode.CANCELLED, "PEOPLE_REFRESH_CANCELLED", "it was cancelled")


class FakeProfiles(profile_pb2_grpc.ProfileServiceServicer, operations_pb2_grpc.OperationsServicer):  # type: ignore[misc]  # untyped
    """The servicers, and what they saw. "ann" and "ben" are known, "new" has nothing but a like.

    Attributes:
        requests: every request, in order.
        operation: the refresh; running from the moment that somebody starts it.
        refuse: statuses that the next calls of an RPC get, by its name.
    """

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.changed = threading.Condition()
        self.operation: operations_pb2.Operation | None = None
        self.refuse: dict[str, list[status_pb2.Status]] = {}
        self.waiting_count = 0

    def add_to(self, server: grpc.Server) -> None:
        """For `RunningServer`."""
        profile_pb2_grpc.add_ProfileServiceServicer_to_server(self, server)
        operations_pb2_grpc.add_OperationsServicer_to_server(self, server)

    def seen(self, kind: type) -> list[Any]:
        """Requests of one kind."""
        return [request for request in self.requests if isinstance(request, kind)]

    def GetProfile(self, request: Any, context: Any) -> profile_pb2.GetProfileResponse:  # noqa: N802
        self._begin("GetProfile", request, context)
        self._known(request.user_id, context)
        answer = profile_pb2.GetProfileResponse(
            engagement_count=1_234, graph_version=GRAPH, model_version=MODEL
        )
        answer.last_engagement_time.FromDatetime(TIME)
        if request.user_id == "new":
            return answer
        answer.visual.clusters_version = CLUSTERS
        answer.visual.picture_count = 40
        answer.visual.outdated_picture_count = 3
        answer.visual.clusters.add(
            cluster=17, share=0.5, general_share=0.25, exemplar_content_ids=["pin-1", "pin-2"]
        )
        answer.visual.clusters.add(cluster=3, share=0.125, general_share=0.25)
        answer.interests.interests.add(
            interest_id="i1", phrase="latte art", weight=0.5, smoothed_share=0.25
        )
        answer.interests.interests.add(interest_id="i2", phrase="gym", weight=-0.25)
        answer.interests.tastes.add(
            interest_id="i1", phrase="latte art", share=0.75, interest_ids=["i1", "i3"]
        )
        return answer

    def CompareProfiles(  # noqa: N802
        self, request: Any, context: Any
    ) -> profile_pb2.CompareProfilesResponse:
        self._begin("CompareProfiles", request, context)
        self._known(request.first_user_id, context)
        answer = profile_pb2.CompareProfilesResponse(
            max_abs_z=3.5,
            differs_at_95=True,
            differs_at_99=True,
            differs_at_95_corrected=True,
            clusters_version=CLUSTERS,
            graph_version=GRAPH,
            model_version=MODEL,
        )
        for cluster, z in ((17, 3.5), (3, -2.0), (5, 0.5)):
            answer.clusters.add(
                cluster=cluster,
                z=z,
                log_odds_ratio=z / 4,
                variance=0.0625,
                first_share=0.25 if z > 0 else 0.0625,
                second_share=0.125,
                exemplar_content_ids=["pin-1"],
            )
        answer.differing_interests.add(
            interest_id="i2", phrase="gym", first_weight=-0.25, second_weight=0.5
        )
        answer.common_interests.add(
            interest_id="i1", phrase="latte art", first_weight=0.5, second_weight=0.25
        )
        return answer

    def RankProfiles(self, request: Any, context: Any) -> profile_pb2.RankProfilesResponse:  # noqa: N802
        self._begin("RankProfiles", request, context)
        answer = profile_pb2.RankProfilesResponse(
            candidate_count=2, picture_count=1, clusters_version=CLUSTERS, model_version=MODEL
        )
        answer.profiles.add(user_id="ann", score=1.5)
        answer.profiles.add(user_id="ben", score=-0.5)
        return answer

    def DeleteProfile(self, request: Any, context: Any) -> profile_pb2.DeleteProfileResponse:  # noqa: N802
        self._begin("DeleteProfile", request, context)
        if request.user_id != "ann":
            return profile_pb2.DeleteProfileResponse()
        return profile_pb2.DeleteProfileResponse(engagement_count=1_234, content_count=1)

    def ListClusters(self, request: Any, context: Any) -> profile_pb2.ListClustersResponse:  # noqa: N802
        self._begin("ListClusters", request, context)
        answer = profile_pb2.ListClustersResponse(
            clusters_version=CLUSTERS, model_version=MODEL, beta=12.5, background_count=5_000
        )
        answer.created_time.FromDatetime(TIME)
        answer.clusters.add(
            cluster=0,
            general_share=0.25,
            exemplar_content_ids=["pin-1", "pin-2"],
            phrases=["latte art", "coffee"],
        )
        answer.clusters.add(cluster=1, general_share=0.75)
        return answer

    def RefreshPeople(self, request: Any, context: Any) -> operations_pb2.Operation:  # noqa: N802
        self._begin("RefreshPeople", request, context)
        self.operation = operations_pb2.Operation(name=OPERATION)
        self.move("clusters")
        return self.operation

    def GetOperation(self, request: Any, context: Any) -> operations_pb2.Operation:  # noqa: N802
        self._begin("GetOperation", request, context)
        return self._found(request.name, context)

    def WaitOperation(self, request: Any, context: Any) -> operations_pb2.Operation:  # noqa: N802
        self._begin("WaitOperation", request, context)
        operation = self._found(request.name, context)
        with self.changed:
            self.waiting_count += 1
            self.changed.notify_all()
            timeout_s = request.timeout.ToNanoseconds() / 1e9
            self.changed.wait_for(lambda: operation.done, timeout_s)
            answer = operations_pb2.Operation()
            answer.CopyFrom(operation)
            return answer

    def CancelOperation(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: N802
        self._begin("CancelOperation", request, context)
        if not self._found(request.name, context).done:
            self.fail(CANCELLED)
        return empty_pb2.Empty()

    def move(self, stage: str) -> None:
        """Puts the refresh into a stage; whoever waits hears of it at their next question."""
        with self.changed:
            assert self.operation is not None
            metadata = profile_pb2.RefreshPeopleMetadata(stage=stage)
            metadata.create_time.FromDatetime(TIME)
            if self.operation.done:
                metadata.end_time.FromDatetime(TIME.replace(minute=1))
            self.operation.metadata.Pack(metadata)
            self.changed.notify_all()

    def succeed(self) -> None:
        """Ends the refresh well."""
        with self.changed:
            assert self.operation is not None
            self.operation.done = True
            self.operation.response.Pack(
                profile_pb2.RefreshPeopleResponse(
                    clusters_version=CLUSTERS,
                    clusters_refitted=True,
                    co_engaged_content_count=120,
                    popular_content_count=400,
                    expired_engagement_count=7,
                )
            )
            self.move("retention")

    def fail(self, why: status_pb2.Status) -> None:
        """Ends it badly."""
        with self.changed:
            assert self.operation is not None
            self.operation.done = True
            self.operation.error.CopyFrom(why)
            self.move("popularity")

    def wait_until_watched(self) -> None:
        """Returns when somebody has asked for the refresh's end; fails after 10 s."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.waiting_count >= 1, timeout=10)

    def _known(self, user_id: str, context: Any) -> None:
        if user_id not in ("ann", "ben", "new"):
            self._abort(context, UNKNOWN_USER)

    def _begin(self, rpc: str, request: Any, context: Any) -> None:
        with self.changed:
            kept = type(request)()
            kept.CopyFrom(request)
            self.requests.append(kept)
            refusals = self.refuse.get(rpc)
            why = refusals.pop(0) if refusals else None
        if why is not None:
            self._abort(context, why)

    def _found(self, name: str, context: Any) -> operations_pb2.Operation:
        if self.operation is None or self.operation.name != name:
            self._abort(context, status(grpc.StatusCode.NOT_FOUND, "UNKNOWN_OPERATION"))
        return self.operation

    def _abort(self, context: Any, why: status_pb2.Status) -> NoReturn:
        context.abort_with_status(rpc_status.to_status(why))
        raise AssertionError("abort raises")
