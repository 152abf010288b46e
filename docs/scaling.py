"""How one call scales from one worker process to two, as in docs/clusters.md: prints medians.

Each worker has one thread, and the images are in the workers' memory before the time starts. The
clusters take turns, so that whatever else the machine does falls on both.
"""

import os
import time
from statistics import median

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster, wait

import convlens

SIDE, CHUNK, ROUNDS = 8192, 1024, 9
KERNEL = np.outer(np.hanning(9), np.hanning(9))[1:-1, 1:-1].astype(np.float32)  # (7, 7)


# Dask's workers give freed memory back at once; NumPy's engine, which takes and frees some at every
# step, would mostly wait for it. So let them keep what is smaller than this. See docs/clusters.md.
KEPT = {
    f"distributed.nanny.pre-spawn-environ.MALLOC_{which}_THRESHOLD_": 2**25
    for which in ("TRIM", "MMAP")
}


def received(dask_worker):
    """Bytes that a worker has had from others since it was last asked: slices, and whole chunks."""
    log = dask_worker.transfer_incoming_log
    sizes = [item for transfer in log for item in transfer["keys"].items()]
    log.clear()
    slices = sum(size for key, size in sizes if key[0].startswith("slice-"))
    return np.array([slices, sum(size for _, size in sizes) - slices])


def time_the_scheduler(client, across=20):
    """Chunks so small that handling tasks is all: CPU time of the scheduler and the client."""
    images = client.persist(da.zeros((16 * across, 16 * across), np.float32, chunks=16))
    wait(images)
    start = time.process_time()
    result = convlens.convolve(images, KERNEL)
    built = time.process_time() - start
    tasks = len(result.dask) - len(images.dask)
    start = time.process_time()
    wait(client.persist(result))
    seconds = time.process_time() - start
    each = f"{1e6 * built / tasks:.0f} and {1e6 * seconds / tasks:.0f} microseconds of CPU a task"
    print(f"{across**2} chunks, {tasks} tasks: built, and scheduled, in {each}")


def main():
    """Time both clusters in turn."""
    dask.config.set(KEPT)
    clusters = {
        count: LocalCluster(
            n_workers=count, threads_per_worker=1, processes=True, dashboard_address=None
        )
        for count in (1, 2)
    }
    clients = {count: Client(cluster) for count, cluster in clusters.items()}
    images = da.random.default_rng(0).random((SIDE, SIDE), np.float32, chunks=CHUNK)
    held = {count: client.persist(images) for count, client in clients.items()}
    for future in held.values():
        wait(future)
    clients[2].run(received)
    times = {"in memory": [], 1: [], 2: []}
    moved = []
    alone = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
    for _ in range(ROUNDS):
        start = time.perf_counter()
        convlens.convolve(alone, KERNEL)
        times["in memory"].append(time.perf_counter() - start)
        for count, client in clients.items():
            start = time.perf_counter()
            result = client.persist(convlens.convolve(held[count], KERNEL))
            wait(result)
            times[count].append(time.perf_counter() - start)
            if count == 2:
                moved.append(sum(client.run(received).values()))
            del result
    chunks = SIDE // CHUNK
    print(f"{SIDE} x {SIDE} float32, {chunks**2} chunks, a 7 x 7 kernel; {os.cpu_count()} CPUs")
    for name, seconds in times.items():
        print(f"{name}: {median(seconds):.2f} s, {min(seconds):.2f} to {max(seconds):.2f}")
    slices, others = np.median(moved, axis=0) / 1e6
    print(f"moved between two workers: slices {slices:.2f} MB, chunks {others:.2f} MB")
    time_the_scheduler(clients[2])
    for client, cluster in zip(clients.values(), clusters.values(), strict=True):
        client.close()
        cluster.close()


if __name__ == "__main__":
    main()
