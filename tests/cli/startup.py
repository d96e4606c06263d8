#!/usr/bin/env python3
"""The median cost of starting `attune --help`, in milliseconds of processor time, against a limit.

Processor time, because the wall clock of a busy machine says nothing of the program.
"""
import os
import statistics
import subprocess
import sys

limit_ms = float(sys.argv[1])
times_ms = []
for _ in range(15):
    before = os.times()
    subprocess.run(["attune", "--help"], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    times_ms.append(1000 * (after.children_user - before.children_user +
                            after.children_system - before.children_system))
median_ms = statistics.median(times_ms)
print("fast enough" if median_ms < limit_ms else f"{median_ms} ms, the limit is {limit_ms} ms")
