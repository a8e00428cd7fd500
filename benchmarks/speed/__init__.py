"""Speed, load, memory and cost of the server beside its peers: for `bench_speed`, `bench_check`.

pictures ─► jobs ─► generator ═(a process of its own)═► loadgen ─► systems: gateway, peers
                         └─► outcomes ─► sections ─► criteria ─► tables, plots, JSON
"""
