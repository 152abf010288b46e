/* Jobs of many kinds on the pool of threads; prints "alike" if each iteration ran exactly once.

   tests/test_pool.py compiles this together with the pool, with and without ThreadSanitizer. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef int (*Task)(void *context, int number, uint8_t *closure);
int pool_run(void *context, Task task, int min, int size, uint8_t *closure);
int pool_set_threads(int count);

enum { MOST = 1000, CALLERS = 4 };

typedef struct { atomic_int times[MOST]; int min, fails_at, within; } Counts;

static void check(int right, const char *what) {
    if (right) return;
    fprintf(stderr, "wrong: %s\n", what);
    exit(1);
}

static int count(void *context, int number, uint8_t *closure) {
    Counts *counts = (Counts *)closure;
    check(context == counts, "a task gets another context");
    atomic_fetch_add(&counts->times[number - counts->min], 1);
    if (counts->within) { /* a job of its own */
        Counts inner = {.fails_at = -1};
        check(!pool_run(&inner, count, 0, counts->within, (uint8_t *)&inner), "an inner error");
        for (int i = 0; i < counts->within; i++) check(inner.times[i] == 1, "an inner job");
    }
    return number == counts->fails_at ? 7 : 0;
}

static void run(int min, int size, int within) {
    Counts *counts = calloc(1, sizeof *counts);
    *counts = (Counts){.min = min, .fails_at = min - 1, .within = within};
    check(pool_run(counts, count, min, size, (uint8_t *)counts) == 0, "an error out of nowhere");
    for (int i = 0; i < MOST; i++) check(counts->times[i] == (i < size), "an iteration");
    free(counts);
}

static void *call(void *unused) {
    for (int i = 0; i < 300; i++) run(i - 5, i * 37 % MOST, i % 50 ? 0 : 5);
    return unused;
}

static void call_from_several_threads(void) {
    pthread_t callers[CALLERS];
    for (int i = 0; i < CALLERS; i++) check(!pthread_create(&callers[i], 0, call, 0), "no thread");
    for (int i = 0; i < 50; i++) pool_set_threads(1 + i % 6); /* in the midst of it */
    for (int i = 0; i < CALLERS; i++) pthread_join(callers[i], 0);
}

int main(void) {
    call(0);
    check(pool_set_threads(4) == 1, "the number of threads at first");
    call(0);
    call_from_several_threads();

    check(pool_set_threads(4) == 2, "the number of threads"); /* the last of the 50 above */
    Counts failing = {.min = 10, .fails_at = 17};
    int error = pool_run(&failing, count, 10, 500, (uint8_t *)&failing);
    check(error == 7, "the error of a task");
    for (int i = 0; i < 500; i++) check(failing.times[i] <= 1, "an iteration after an error");

    usleep(20000); /* everyone sleeps */
    run(0, MOST, 0);
    pool_set_threads(1); /* so that no thread is left, and the process may fork */
    pid_t child = fork();
    pool_set_threads(3);
    call(0);
    if (!child) _exit(0);
    int status;
    check(waitpid(child, &status, 0) == child && status == 0, "a forked process");
    puts("alike");
}
