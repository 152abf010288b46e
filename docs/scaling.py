"""Measure how one call scales from one worker process to two; prints docs/clusters.md's figures.

Each worker has one thread, and the images are in the workers' memory before the clock starts. The
two clusters take turns, so that whatever else the machine does falls on both.
"""

import os
import time
from statistics import median

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster, wait

import convlens

SIDE, CHUNK, ROUNDS = 16_384, 4096, 9
KERNEL = np.random.default_rng(1).random((7, 7), np.float32)  # no column times a row

# What clusters.md recommends: one thread of convlens for each thread of a worker; and, for NumPy's
# engine, that freed memory below this size is kept for the next task.
SETTINGS = {
    "CONVLENS_THREADS": 1,
    "MALLOC_TRIM_THRESHOLD_": 2**25,
    "MALLOC_MMAP_THRESHOLD_": 2**25,
}


def received(dask_worker):
    """Bytes of slices and of whole chunks that a worker has received since it was last asked."""
    log = dask_worker.transfer_incoming_log
    sizes = [item for transfer in log for item in transfer["keys"].items()]
    log.clear()
    slices = sum(size for key, size in sizes if key[0].startswith("slice-"))
    return np.array([slices, sum(size for _, size in sizes) - slices])


def time_tasks(client, across=20):
    """Seconds of CPU to build and to schedule a task, measured on chunks with hardly any pixels."""
    images = client.persist(da.zeros((16 * across, 16 * across), np.float32, chunks=16))
    wait(images)
    start = time.process_time()
    result = convlens.convolve(images, KERNEL)
    built = time.process_time() - start
    tasks = len(result.dask) - len(images.dask)
    start = time.process_time()
    wait(client.persist(result))
    return built / tasks, (time.process_time() - start) / tasks


def main():
    """Time the call in memory and on both clusters, in turns."""
    for name, value in SETTINGS.items():
        dask.config.set({f"distributed.nanny.pre-spawn-environ.{name}": value})
    clusters = {
        count: LocalCluster(
            n_workers=count, threads_per_worker=1, processes=True, dashboard_address=":0"
        )
        for count in (1, 2)
    }
    clients = {count: Client(cluster) for count, cluster in clusters.items()}
    images = da.random.default_rng(0).random((SIDE, SIDE), np.float32, chunks=CHUNK)
    held = {count: client.persist(images) for count, client in clients.items()}
    for future in held.values():
        wait(future)
    clients[2].run(received)
    times = {"in memory, one thread, no Dask": [], "one worker": [], "two workers": []}
    moved = []
    alone = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
    convlens.set_threads(1)
    for _ in range(ROUNDS):
        start = time.perf_counter()
        convlens.convolve(alone, KERNEL)
        times["in memory, one thread, no Dask"].append(time.perf_counter() - start)
        for count, client in clients.items():
            start = time.perf_counter()
            result = client.persist(convlens.convolve(held[count], KERNEL))
            wait(result)
            times["one worker" if count == 1 else "two workers"].append(time.perf_counter() - start)
            if count == 2:
                moved.append(sum(client.run(received).values()))
            del result
    report(times, np.median(moved, axis=0) / 1e6, *time_tasks(clients[2]))
    for client, cluster in zip(clients.values(), clusters.values(), strict=True):
        client.close()
        cluster.close()


def report(times, moved, building, scheduling):
    """Print the figures in the order in which the page has them."""
    chunks = (SIDE // CHUNK) ** 2
    engine = convlens.plan_convolve((SIDE, SIDE), KERNEL).method
    print(
        f"{SIDE} x {SIDE} float32, {chunks} chunks, a 7 x 7 kernel; {engine} engine, one thread a "
        f"worker; {os.cpu_count()} processors, a load of {os.getloadavg()[0]:.1f}\n"
    )
    print("| | median | fastest |\n|---|---|---|")
    for name, seconds in times.items():
        print(f"| {name} | {median(seconds):.2f} s | {min(seconds):.2f} s |")
    ratios = [each(times["one worker"]) / each(times["two workers"]) for each in (median, min)]
    print("\ntwo workers over one: {:.1f} by the medians, {:.1f} by the fastest".format(*ratios))
    print("moved between the two: slices {:.2f} MB, whole chunks {:.0f} MB".format(*moved))
    fastest = min(times["one worker"])
    print(
        f"one worker: {SIDE**2 / fastest / 1e6:.0f} million pixels a second at its fastest, "
        f"{fastest / chunks:.3f} s a chunk"
    )
    print(
        f"a task: built in {1e6 * building:.0f} microseconds of CPU, scheduled in "
        f"{1e3 * scheduling:.2f} ms; nine a chunk: one scheduler keeps "
        f"{fastest / chunks / 9 / scheduling:.0f} workers busy"
    )


if __name__ == "__main__":
    main()
