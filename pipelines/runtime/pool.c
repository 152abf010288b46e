/* The threads that compiled pipelines run on.

   Halide calls `pool_run` for each parallel loop. The loop becomes a job: the calling thread takes
   one iteration after another, and so do threads of the pool, until none is left. Each begins in a
   part of the loop of its own, the same one in every job, and helps in others' parts afterwards: so
   when calls repeat, a processor finds in its caches what it worked on before. A thread of the
   pool that finds nothing to do looks for work for a hundred microseconds, since calls often
   follow each other closely, and then sleeps. So an idle pool takes no processor time.

   To wake a thread takes 10 to 40 microseconds of the caller's time, and as much again or more
   until the thread runs. Measured on a virtual machine of two processors after pauses of 20 ms,
   work of 105 microseconds took 132 when a thread was woken for it. So short jobs leave sleeping
   threads asleep, unless jobs follow each other so closely that the thread will find more to do.
   How long a job of few iterations is, its first iteration shows, but then a half of the work may
   be done by one thread. So the pool remembers how long jobs like it took, to be sooner next time.

   Rules for the shared state:

   * `lock` guards the list of jobs and the lists of threads. It is held for a few instructions, and
     never while a task runs, a thread is woken or a thread sleeps.
   * A job lies on the stack of its caller. A thread joins it (`helpers`) only under the lock, while
     the job is listed; the caller takes it off the list and then waits until all have left.
   * A sleeping thread belongs to whoever took it off the list `asleep`, who then wakes it. */

#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* ------------------------------------------------------------------ what the system provides */

#ifdef _WIN32
#include <windows.h>

typedef SRWLOCK Lock;
typedef CONDITION_VARIABLE Condition;
typedef HANDLE Thread;
#define LOCK_INIT SRWLOCK_INIT
#define CONDITION_INIT CONDITION_VARIABLE_INIT
#define THREAD_RESULT DWORD WINAPI
#define try_lock(l) TryAcquireSRWLockExclusive(l)
#define wait_lock(l) AcquireSRWLockExclusive(l)
#define unlock(l) ReleaseSRWLockExclusive(l)
#define wait_for(c, l) SleepConditionVariableSRW(c, l, INFINITE, 0)
#define signal_one(c) WakeConditionVariable(c)
#define signal_all(c) WakeAllConditionVariable(c)
#define wait_for_end(t) (WaitForSingleObject(t, INFINITE), CloseHandle(t))

static bool start(Thread *thread, LPTHREAD_START_ROUTINE body, void *argument) {
    *thread = CreateThread(NULL, 0, body, argument, 0, NULL);
    return *thread != NULL;
}

static int64_t microseconds(void) {
    LARGE_INTEGER now, each_second;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&each_second);
    return now.QuadPart * 1000000 / each_second.QuadPart;
}

#else
#include <pthread.h>
#include <signal.h>
#include <time.h>

typedef pthread_mutex_t Lock;
typedef pthread_cond_t Condition;
typedef pthread_t Thread;
#define LOCK_INIT PTHREAD_MUTEX_INITIALIZER
#define CONDITION_INIT PTHREAD_COND_INITIALIZER
#define THREAD_RESULT void *
#define try_lock(l) (pthread_mutex_trylock(l) == 0)
#define wait_lock(l) pthread_mutex_lock(l)
#define unlock(l) pthread_mutex_unlock(l)
#define wait_for(c, l) pthread_cond_wait(c, l)
#define signal_one(c) pthread_cond_signal(c)
#define signal_all(c) pthread_cond_broadcast(c)
#define wait_for_end(t) pthread_join(t, NULL)

/* Threads of the pool take no signals, which are for the threads of the program. */
static bool start(Thread *thread, void *(*body)(void *), void *argument) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(thread, NULL, body, argument) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static int64_t microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
#endif

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/* The lock is held so briefly that sleeping for it would take longer. */
static void acquire(Lock *lock) {
    for (int tries = 0; tries < 100; tries++) {
        if (try_lock(lock)) return;
        pause_briefly();
    }
    wait_lock(lock);
}

/* ------------------------------------------------------------------------------- the state */

enum {
    MOST_THREADS = 256,
    MOST_PARTS = 16,
    SPIN = 100,   /* microseconds for which a thread looks for work */
    WORTH = 200,  /* microseconds of work that are worth the waking of a thread */
    SHARES = 4,   /* iterations for each thread that the callers divide work of any length into */
    REMEMBERED = 64
};

typedef int (*Task)(void *context, int number, uint8_t *closure);

typedef struct Part {
    _Atomic int64_t next; /* the next iteration; int64, since every thread counts once too far */
    int64_t end;
} Part;

typedef struct Job {
    Task task;
    void *context;
    uint8_t *closure;
    int count;          /* of its parts */
    Part parts[MOST_PARTS];
    atomic_int error;   /* what the first task that failed returned */
    atomic_int helpers; /* how many threads of the pool are at work on it */
    struct Job *following;
} Job;

typedef struct Memory { /* of the latest job of this kind */
    Task task;
    int size;
    int64_t work; /* microseconds: those of its caller's first iteration, for each iteration */
} Memory;

typedef struct Worker {
    Thread thread;
    Lock gate;
    Condition opened;
    bool open; /* guarded by `gate`: whether it may leave its sleep */
    struct Worker *following;
#ifdef __linux__
    int id;        /* of the system's thread */
    bool narrowed; /* whether `processors` are to be given back to it */
    struct Processors { unsigned long bits[16]; } processors;
#endif
} Worker;

static Lock lock = LOCK_INIT;
static Job *jobs;            /* that may have iterations left */
static Worker *asleep;       /* the one that fell asleep last comes first */
static int started;          /* how many threads the pool has */
static atomic_int limit;     /* and the most that it may have */
static atomic_int searching; /* how many of them look for work */
static atomic_bool ending;   /* whether they are to end */
static atomic_uint posted;   /* grows with each job */
static int64_t last_ended;   /* when the last job ended, in microseconds */
static Memory memories[REMEMBERED]; /* guarded by `lock` */
static Worker workers[MOST_THREADS];

static Lock finish = LOCK_INIT; /* of callers that sleep until the last helper has left */
static Condition finished = CONDITION_INIT;
static atomic_int waiting;

/* ------------------------------------------------------------------------- sleep and waking */

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>

/* Linux often wakes a thread on the processor of its waker, where both take turns though others are
   idle: 80 to 100 times of 100 after pauses of 2 ms and more. So a thread is kept off its waker's
   processor until it has nothing to do. */
static void keep_off(Worker *worker) {
    unsigned here, size = 8 * sizeof worker->processors;
    struct Processors some = {{0}};
    if (syscall(SYS_getcpu, &here, NULL, NULL) || here >= size) return;
    if (syscall(SYS_sched_getaffinity, worker->id, sizeof some, &some) < 0) return;
    worker->processors = some;
    some.bits[here / (8 * sizeof(long))] &= ~(1UL << here % (8 * sizeof(long)));
    /* This fails, and changes nothing, if no other processor is allowed. */
    worker->narrowed = !syscall(SYS_sched_setaffinity, worker->id, sizeof some, &some);
}

static void give_back(Worker *worker) {
    if (worker->narrowed)
        syscall(SYS_sched_setaffinity, 0, sizeof worker->processors, &worker->processors);
    worker->narrowed = false;
}
#else
static void keep_off(Worker *worker) { (void)worker; }
static void give_back(Worker *worker) { (void)worker; }
#endif

static void sleep_until_woken(Worker *worker) {
    acquire(&worker->gate);
    while (!worker->open) wait_for(&worker->opened, &worker->gate);
    worker->open = false;
    unlock(&worker->gate);
}

static void wake(Worker *worker) {
    keep_off(worker);
    acquire(&worker->gate);
    worker->open = true;
    unlock(&worker->gate);
    signal_one(&worker->opened);
}

/* ------------------------------------------------------------------------------------ work */

static int64_t left(Job *job) {
    int64_t sum = 0;
    for (int i = 0; i < job->count; i++) {
        int64_t some = job->parts[i].end - atomic_load(&job->parts[i].next);
        sum += some > 0 ? some : 0;
    }
    return sum;
}

/* Run an iteration of a job, of the part that this thread begins with if one is left there; false
   if none is left at all. */
static bool step(Job *job, int first) {
    for (int i = 0; i < job->count; i++) {
        Part *part = &job->parts[(first + i) % job->count];
        if (atomic_load(&part->next) >= part->end) continue;
        int64_t number = atomic_fetch_add(&part->next, 1);
        if (number >= part->end) continue;
        int error = job->task(job->context, (int)number, job->closure), none = 0;
        if (error && atomic_compare_exchange_strong(&job->error, &none, error))
            for (int j = 0; j < job->count; j++) atomic_store(&job->parts[j].next, job->parts[j].end);
        return true;
    }
    return false;
}

static bool something_new(unsigned seen) { return atomic_load(&posted) != seen; }

/* Of the jobs with iterations left, the one with the fewest helpers: so callers share the pool. */
static Job *most_in_need(void) {
    Job *found = NULL;
    for (Job *job = jobs; job; job = job->following)
        if (left(job))
            if (!found || atomic_load(&job->helpers) < atomic_load(&found->helpers)) found = job;
    return found;
}

static void leave(Job *job) {
    /* Once it has left, the job may be gone. */
    if (atomic_fetch_sub(&job->helpers, 1) == 1 && atomic_load(&waiting)) {
        acquire(&finish);
        signal_all(&finished);
        unlock(&finish);
    }
}

/* Whether it happens that something is posted after `seen`, or that the pool ends, soon. */
static bool soon(unsigned seen) {
    int64_t start = microseconds();
    do
        for (int i = 0; i < 50; i++) {
            if (something_new(seen) || atomic_load(&ending)) return true;
            pause_briefly();
        }
    while (microseconds() - start < SPIN);
    return false;
}

static THREAD_RESULT live(void *argument) {
    Worker *self = argument;
#ifdef __linux__
    self->id = (int)syscall(SYS_gettid);
#endif
    for (;;) {
        acquire(&lock);
        unsigned seen = atomic_load(&posted);
        Job *job = most_in_need();
        if (job) {
            atomic_fetch_add(&job->helpers, 1);
            unlock(&lock);
            /* A job that was posted meanwhile may need help more. */
            while (step(job, (int)(self - workers) + 1) && !something_new(seen)) continue;
            leave(job);
            continue;
        }
        atomic_fetch_add(&searching, 1);
        unlock(&lock);
        give_back(self);
        bool found = soon(seen);
        acquire(&lock);
        atomic_fetch_sub(&searching, 1);
        bool end = atomic_load(&ending), sleeps = !end && !found && !something_new(seen);
        if (sleeps) {
            self->following = asleep;
            asleep = self;
        }
        unlock(&lock);
        if (end) return 0;
        if (sleeps) sleep_until_woken(self);
    }
}

/* Under the lock: take as many sleeping threads off their list as a job can use. */
static Worker *take_sleepers(int64_t wanted) {
    Worker *taken = NULL;
    while (asleep && wanted-- > 0) {
        Worker *worker = asleep;
        asleep = worker->following;
        worker->following = taken;
        taken = worker;
    }
    return taken;
}

static void wake_all(Worker *taken) {
    while (taken) {
        Worker *worker = taken;
        taken = worker->following; /* which the worker may change as soon as it is awake */
        wake(worker);
    }
}

/* Under the lock: start threads until there are so many. If the system starts no more, fewer do. */
static void start_threads(int64_t wanted) {
    if (wanted > atomic_load(&limit)) wanted = atomic_load(&limit);
    for (; started < wanted && !atomic_load(&ending); started++) {
        Worker *worker = &workers[started];
        *worker = (Worker){.gate = LOCK_INIT, .opened = CONDITION_INIT};
        if (!start(&worker->thread, live, worker)) return;
    }
}

/* Where jobs of this kind are remembered, or others that came to the same place. */
static Memory *memory_of(Task task, int size) {
    return &memories[((uintptr_t)task / 16 + (uintptr_t)size) % REMEMBERED];
}

/* ------------------------------------------------------------------- what the library calls */

/* Run task(context, number, closure) for `size` numbers from `min` on, in any order. Returns 0, or
   what the first task that failed returned; then others may not have been run. */
int pool_run(void *context, Task task, int min, int size, uint8_t *closure) {
    Job job = {.task = task, .context = context, .closure = closure, .count = 1};
    int threads = atomic_load(&limit) + 1;
    if (size > 1 && threads > 1) job.count = threads < MOST_PARTS ? threads : MOST_PARTS;
    if (job.count > size) job.count = size > 0 ? size : 1;
    for (int i = 0; i < job.count; i++) {
        atomic_init(&job.parts[i].next, min + (int64_t)size * i / job.count);
        job.parts[i].end = min + (int64_t)size * (i + 1) / job.count;
    }
    if (job.count == 1) {
        while (step(&job, 0)) continue;
        return atomic_load(&job.error);
    }
    int64_t began = microseconds();
    acquire(&lock);
    start_threads((int64_t)size - 1);
    job.following = jobs;
    jobs = &job;
    Memory *memory = memory_of(task, size);
    bool known = memory->task == task && memory->size == size;
    bool long_before = known && memory->work > WORTH;
    bool closely = began - last_ended < SPIN;
    bool wakes = asleep && (closely || long_before || size >= SHARES * threads);
    Worker *taken = wakes ? take_sleepers(size - 1 - atomic_load(&searching)) : NULL;
    bool others = asleep && !wakes;
    atomic_fetch_add(&posted, 1);
    unlock(&lock);
    wake_all(taken);

    began = microseconds();
    bool one = step(&job, 0);
    int64_t took = microseconds() - began, rest = left(&job);
    if (others && rest * took > WORTH) { /* Few iterations may be short ones, or long ones. */
        acquire(&lock);
        taken = take_sleepers(rest - atomic_load(&searching));
        unlock(&lock);
        wake_all(taken);
    }
    while (step(&job, 0)) continue;

    acquire(&lock);
    Job **link = &jobs;
    while (*link != &job) link = &(*link)->following;
    *link = job.following;
    if (one) *memory = (Memory){task, size, size * took};
    last_ended = began = microseconds();
    unlock(&lock);
    while (atomic_load(&job.helpers) && microseconds() - began < SPIN) pause_briefly();
    if (atomic_load(&job.helpers)) {
        acquire(&finish);
        atomic_fetch_add(&waiting, 1);
        while (atomic_load(&job.helpers)) wait_for(&finished, &finish);
        atomic_fetch_sub(&waiting, 1);
        unlock(&finish);
    }
    return atomic_load(&job.error);
}

/* End all threads of the pool, and wait for that. Later jobs start them again. */
static void end_threads(void) {
    static Lock one_at_a_time = LOCK_INIT;
    acquire(&one_at_a_time);
    acquire(&lock);
    atomic_store(&ending, true);
    int count = started;
    Worker *taken = take_sleepers(count);
    unlock(&lock);
    wake_all(taken);
    for (int number = 0; number < count; number++) wait_for_end(workers[number].thread);
    acquire(&lock);
    started = 0;
    atomic_store(&ending, false);
    unlock(&lock);
    unlock(&one_at_a_time);
}

/* Let jobs run on so many threads, the caller's own among them; returns the number before. */
int pool_set_threads(int count) {
    int most = count - 1 < MOST_THREADS ? count - 1 : MOST_THREADS;
    acquire(&lock);
    int before = atomic_exchange(&limit, most);
    bool fewer = most < started;
    unlock(&lock);
    if (fewer) end_threads();
    return before + 1;
}
