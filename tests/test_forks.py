"""A process may fork from any thread and any signal handler, whatever runs or was interrupted.

Every test runs in a process of its own. If something hangs there, a time limit makes it a failure.
"""

import os

import pytest
from strategies import built
from test_compiled_promises import script

pytestmark = [built, pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")]

PRELUDE = """
import ctypes, multiprocessing, random, sys, threading

def fail(error):
    # An exception that would only be printed ends the process.
    sys.excepthook(error.exc_type, error.exc_value, error.exc_traceback)
    os._exit(1)

def fail_for_ours(error):
    if error.exc_type is ValueError:  # of a list from which something is missing
        fail(error)

threading.excepthook, sys.unraisablehook = fail, fail_for_ours
x = images(64, 28, 28)
function = WAYS["planes"][1]
expected = function(x)

def compute():
    while True:
        function(x)

def busy(threads, target=compute):
    for _ in range(threads):
        threading.Thread(target=target, daemon=True).start()

def check():  # in a child
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(10)  # which ends a child that hangs
    threads = load().threads
    alike = same_bits(function(x), expected)
    alike &= load()._library.pool_set_threads(threads) == threads
    os._exit(0 if alike else 1)

def fork():
    child = os.fork()
    if not child:
        check()
    assert os.waitpid(child, 0)[1] == 0

def fork_by_multiprocessing():
    child = multiprocessing.get_context("fork").Process(target=check)
    child.start()
    child.join()
    assert child.exitcode == 0

def on_alarm(handler):
    signal.signal(signal.SIGALRM, lambda *_: handler())

def alarm(seconds, again=0):
    signal.setitimer(signal.ITIMER_REAL, seconds, again)

def end():
    alarm(0)
    assert same_bits(function(x), expected)
    fork()
    print("all alike", flush=True)
    os._exit(0)
"""


def assert_all_alike(code, **environment):
    """Assert that the code ends in time, and that nothing in it went wrong."""
    process = script(PRELUDE + code, PYTHONWARNINGS="ignore", **environment)
    try:
        printed, error = process.communicate(timeout=100)
    finally:
        process.kill()
    assert printed == "all alike\n", error


@pytest.mark.parametrize("count", ["1", "2", "4"])
@pytest.mark.parametrize("busy", [0, 1], ids=["idle", "while another thread computes"])
def test_fork(busy, count):
    """A child hangs, or computes other bits, because of what its parent was doing at the fork."""
    code = f"""
busy({busy})
for number in range(200):
    if {busy}:
        time.sleep(0.0007 * (number % 9))
    else:
        function(x)  # whose threads may just be going to rest
    fork()
end()
"""
    assert_all_alike(code, CONVLENS_THREADS=count)


def test_after_interrupted_calls():
    """An exception anywhere in a short call, as from Ctrl-C, makes later forks wait for ever."""
    code = """
small, kernel, armed = images(1, 40, 40), np.ones((3, 3), "f4"), False

def interrupt():
    if armed:
        raise KeyboardInterrupt

on_alarm(interrupt)
interrupted = 0
while interrupted < 20_000:
    try:
        armed = True
        alarm(random.uniform(2e-5, 1e-4))
        for _ in range(100):
            convlens.convolve(small, kernel)
        armed = False
    except KeyboardInterrupt:
        armed = False
        interrupted += 1

# A thread of its own forks, for which even the main thread's pipelines would have to end.
thread = threading.Thread(target=fork)
thread.start()
thread.join(20)
assert not thread.is_alive()
end()
"""
    assert_all_alike(code)


@pytest.mark.parametrize("threads", [0, 2], ids=["alone", "while other threads compute"])
@pytest.mark.parametrize(
    ("way", "deepest"),  # the next alarm may interrupt a handler, which multiprocessing cannot bear
    [("fork", 3), ("fork_by_multiprocessing", 1)],
)
def test_fork_in_a_handler(way, deepest, threads):
    """A signal handler that forks during a long call waits for that call, or changes its bits."""
    code = f"""
large, kernel = images(12, 700, 700), images(15, 14)
whole = convlens.convolve(large, kernel)
forks = depth = 0

def handler():
    global forks, depth
    if depth == {deepest}:
        return
    depth += 1
    {way}()
    forks += 1
    depth -= 1

busy({threads})
on_alarm(handler)
alarm(0.01, 0.01)
while forks < 20:
    assert same_bits(convlens.convolve(large, kernel), whole)
end()
"""
    assert_all_alike(code, CONVLENS_THREADS="2")


def test_a_handler_that_waits_for_a_thread_that_forks():
    """The thread waits for the pipeline that the handler interrupted, so both wait for ever."""
    code = """
large, kernel = images(12, 700, 700), images(15, 14)
forks = 0

def handler():
    global forks
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    forks += 1

on_alarm(handler)
while forks < 5:
    alarm(0.02)
    convlens.convolve(large, kernel)
end()
"""
    assert_all_alike(code)


@pytest.mark.parametrize("way", ["fork", "interrupt"])
def test_a_handler_during_a_fork(way):
    """A fork that is interrupted, or during which another begins, leaves a wrong state."""
    code = f"""
large = images(9, 100, 100)
children = 0

def fork_only():
    global children
    children += 1
    if not os.fork():
        check()

def interrupt():
    if armed:
        raise KeyboardInterrupt

def compute_longer():
    while True:
        WAYS["planes"][1](large)

armed = False
on_alarm(dict(fork=fork_only, interrupt=interrupt)[{way!r}])
busy(1, compute_longer)  # for which forks must wait
for _ in range(150):
    try:
        armed = True
        alarm(random.uniform(1e-5, 2e-3))
        fork_only()
        armed = False
    except KeyboardInterrupt:
        armed = False
alarm(0)
reaped = 0
while True:
    try:
        assert os.waitpid(-1, 0)[1] == 0
        reaped += 1
    except ChildProcessError:
        break
assert reaped > 100
if {way!r} == "fork":
    assert reaped == children > 200
end()
"""
    assert_all_alike(code, CONVLENS_THREADS="2")


def test_threads_that_fork_at_once():
    """A thread hangs, or bits change, while several fork, compute and set the number of threads."""
    code = """
failed = []

def forks():
    try:
        for _ in range(25):
            fork()
            assert same_bits(function(x), expected)
    except BaseException as error:
        failed.append(error)

def set_threads():
    for number in range(10**9):
        convlens.set_threads(1 + number % 4)
        time.sleep(1e-4)

busy(4, set_threads)
threads = [threading.Thread(target=forks) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failed, failed
end()
"""
    assert_all_alike(code)


def test_fork_after_arguments_that_fail():
    """A pipeline that could not be called is counted as running, so that forks wait for it."""
    code = """
from convlens.compiled.threads import RUNNING

def fail():
    try:
        RUNNING.call(load()._library.pool_set_threads, [object()])
    except ctypes.ArgumentError:
        failed.set()
        time.sleep(1000)  # so that no other thread takes its number

failed = threading.Event()
busy(1, fail)
assert failed.wait(10)
signal.alarm(20)
end()
"""
    assert_all_alike(code)
