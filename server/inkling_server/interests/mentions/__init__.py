"""Finds the interests of a graph in the texts of content items, and says how far each is believed.

    table        names in runs of words
    agreement    what a name's place in its sentence says
    matching     an item's texts ─► mentions
    picking      what the keyphrase extractors think of a mention, where somebody asks
    reliability  mentions of several sources ─► probabilities (noisy-or)
    quoting      a mention ─► the words as they were sent
    evidence     mentions of one item ─► evidence for interests
    reading      all of this beside a serving event loop

All but `reliability` and `reading` need the extra `discovery`; `reading` says whether it is there.
"""
