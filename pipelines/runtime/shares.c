/* What pixels get of what comes back to windows, if each window gives the same to all of its pixels.

   The windows over a pixel lie next to each other along each axis. So for a row of pixels, the rows of
   outputs whose windows lie over it are added up first, and then, for each pixel, the columns. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { AXES = 3, LINES = 4 /* the least rows of pixels of a task */, TASKS = 64 };

typedef int (*Task)(void *context, int number, uint8_t *closure);
int pool_run(void *context, Task task, int min, int size, uint8_t *closure);

typedef struct Axis {
    int64_t cells, outputs;
    const int64_t *windows; /* (cells, 2): the first window over each cell, and the one after the last */
    const int64_t *counts;  /* (outputs,): the parts that a window is divided into along the axis */
} Axis;

typedef struct Job {
    const char *outputs; /* (m, *outputs, c), without gaps */
    char *values;        /* (m, *cells, c), without gaps */
    int64_t batch, channels, lines_of_task;
    Axis axes[AXES];
    int wide; /* whether numbers are doubles, and not floats */
} Job;

/* `set` writes quotients of numbers by a divisor, `add` adds them to others, and `plus` adds numbers. */
#define ROWS(Number, name)                                                                            \
    typedef Number Vector_##name __attribute__((vector_size(16)));                                    \
    enum { LANES_##name = 16 / sizeof(Number) };                                                      \
    static void set_##name(Number *to, const Number *from, Number by, int64_t count) {                \
        int64_t i = 0;                                                                                \
        for (Vector_##name x; i + LANES_##name <= count; i += LANES_##name) {                         \
            memcpy(&x, from + i, sizeof x);                                                           \
            x /= by;                                                                                  \
            memcpy(to + i, &x, sizeof x);                                                             \
        }                                                                                             \
        for (; i < count; i++) to[i] = from[i] / by;                                                  \
    }                                                                                                 \
    static void add_##name(Number *to, const Number *from, Number by, int64_t count) {                \
        int64_t i = 0;                                                                                \
        for (Vector_##name x, sum; i + LANES_##name <= count; i += LANES_##name) {                    \
            memcpy(&x, from + i, sizeof x);                                                           \
            memcpy(&sum, to + i, sizeof sum);                                                         \
            sum += x / by;                                                                            \
            memcpy(to + i, &sum, sizeof sum);                                                         \
        }                                                                                             \
        for (; i < count; i++) to[i] += from[i] / by;                                                 \
    }                                                                                                 \
    static void plus_##name(Number *to, const Number *from, int64_t count) {                          \
        int64_t i = 0;                                                                                \
        for (Vector_##name x, sum; i + LANES_##name <= count; i += LANES_##name) {                    \
            memcpy(&x, from + i, sizeof x);                                                           \
            memcpy(&sum, to + i, sizeof sum);                                                         \
            sum += x;                                                                                 \
            memcpy(to + i, &sum, sizeof sum);                                                         \
        }                                                                                             \
        for (; i < count; i++) to[i] += from[i];                                                      \
    }
ROWS(float, floats)
ROWS(double, doubles)
#undef ROWS

static void quotients(const Job *job, char *to, const char *from, int64_t by, int64_t count, int adding) {
    if (job->wide)
        (adding ? add_doubles : set_doubles)((double *)to, (const double *)from, (double)by, count);
    else
        (adding ? add_floats : set_floats)((float *)to, (const float *)from, (float)by, count);
}

static void plus(const Job *job, char *to, const char *from, int64_t count) {
    if (job->wide)
        plus_doubles((double *)to, (const double *)from, count);
    else
        plus_floats((float *)to, (const float *)from, count);
}

/* Write the values of a row of pixels; `shares` has room for a row of outputs. */
static void write_line(const Job *job, int64_t line, char *shares) {
    const Axis *depth = &job->axes[0], *height = &job->axes[1], *width = &job->axes[2];
    int64_t pixel = job->channels * (job->wide ? 8 : 4), of_row = width->outputs * pixel;
    char *out = job->values + line * width->cells * pixel;
    int64_t h = line % height->cells, d = line / height->cells % depth->cells;
    int64_t image = line / height->cells / depth->cells;
    const int64_t *over_d = depth->windows + 2 * d, *over_h = height->windows + 2 * h;
    if (over_d[0] >= over_d[1] || over_h[0] >= over_h[1]) {
        memset(out, 0, width->cells * pixel);
        return;
    }
    int adding = 0;
    for (int64_t p = over_d[0]; p < over_d[1]; p++)
        for (int64_t y = over_h[0]; y < over_h[1]; y++, adding = 1) {
            const char *row = job->outputs + ((image * depth->outputs + p) * height->outputs + y) * of_row;
            int64_t parts = depth->counts[p] * height->counts[y];
            for (int64_t x = 0, next; x < width->outputs; x = next) {
                next = x + 1;
                while (next < width->outputs && width->counts[next] == width->counts[x]) next++;
                quotients(job, shares + x * pixel, row + x * pixel, parts * width->counts[x],
                          (next - x) * job->channels, adding);
            }
        }
    for (int64_t x = 0; x < width->cells; x++, out += pixel) {
        int64_t first = width->windows[2 * x], last = width->windows[2 * x + 1];
        const char *from = shares + first * pixel;
        if (first >= last)
            memset(out, 0, pixel);
        else if (pixel == 4) /* one instruction */
            memcpy(out, from, 4);
        else
            memcpy(out, from, pixel);
        for (int64_t o = first + 1; o < last; o++) plus(job, out, shares + o * pixel, job->channels);
    }
}

static int write_part(void *context, int number, uint8_t *closure) {
    (void)context;
    const Job *job = (const Job *)closure;
    int64_t lines = job->batch * job->axes[0].cells * job->axes[1].cells;
    int64_t begin = number * job->lines_of_task, end = begin + job->lines_of_task;
    char *shares = malloc(job->axes[2].outputs * job->channels * 8);
    if (!shares) return -1;
    for (int64_t line = begin; line < end && line < lines; line++) write_line(job, line, shares);
    free(shares);
    return 0;
}

/* Write what each pixel gets. `sizes` are m and c, and of each axis the cells and outputs. Numbers are
   doubles if `wide`, and else floats. Returns 0, or -1 if there is not enough memory. */
int shares_give(const char *outputs, const int64_t *sizes, const int64_t *const *windows,
                const int64_t *const *counts, char *values, int wide) {
    Job job = {.outputs = outputs, .values = values, .batch = sizes[0], .channels = sizes[1],
               .wide = wide};
    for (int i = 0; i < AXES; i++)
        job.axes[i] = (Axis){sizes[2 + 2 * i], sizes[3 + 2 * i], windows[i], counts[i]};
    int64_t lines = job.batch * job.axes[0].cells * job.axes[1].cells;
    job.lines_of_task = (lines + TASKS - 1) / TASKS;
    if (job.lines_of_task < LINES) job.lines_of_task = LINES;
    int tasks = (int)((lines + job.lines_of_task - 1) / job.lines_of_task);
    return pool_run(NULL, write_part, 0, tasks, (uint8_t *)&job);
}
