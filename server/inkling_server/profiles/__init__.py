"""What people's pictures and engagement say of them: the mathematics alone.

    background embeddings ─fit_clusters─► VisualClusters ─┐
    a person's pictures ───────────────────────────────► visual ─► VisualSums ─┬─► compare
                                                                               └─► rank
    a person's engagements ─► interest (over the interest graph) ─► InterestProfile
    everybody's engagements ─► co_engagement ─► recommend

Arrays in, frozen values out. Nothing here knows storage, messages, who a person is, or what serves;
on the path of a request it is numpy alone (`fit_clusters` and `co_engagement` are batch work).
"""
