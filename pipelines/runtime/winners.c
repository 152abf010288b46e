/* Which cell is the largest under each window, and what pixels get of what comes back to windows.

   Of equal cells the first in reading order wins, and of NaNs the last. So a window's cells are gone
   through from the last to the first: one takes the place of the best if it is not smaller, unless
   the best is NaN. Columns come first: the winners of a row of cells under each window's columns
   serve all windows that lie over that row. A winner is known by its tap; tables say which pixel lies
   there. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    AXES = 3,
    TASKS = 32,
    KEPT = 1 << 23,    /* the most bytes of rows that a task keeps */
    FEW = 8,           /* channels, below which windows are put side by side to be compared */
    LEAST = 4,         /* channels, above which windows are compared one by one */
    NONE = -(1 << 30), /* the tap of a window without cells: below 0 whatever is added to it */
    TAPS = 16,         /* of a window, up to which it is faster to compare all outputs with each */
    SMALL = 64,        /* the same where its cells are compared in vectors along the channels */
    HALO = 4           /* windows' reaches that a band has, so that few rows are looked at twice */
};

#define UNROLL _Pragma("GCC unroll 4")
#define ALWAYS_INLINE inline __attribute__((always_inline))

typedef int (*Task)(void *context, int number, uint8_t *closure);
int pool_run(void *context, Task task, int min, int size, uint8_t *closure);

typedef struct Axis {
    int64_t size, outputs, window, stride, dilation;
    int64_t before;        /* how far the first window begins before the first cell */
    int64_t count;         /* how many places there are */
    const int64_t *places; /* which of them each cell has, below 0 for none */
} Axis;

typedef struct Job {
    const char *cells;   /* (m, *sizes, c), of which rows have no gaps */
    int64_t apart[AXES]; /* how many numbers lie between two images, planes and rows */
    int64_t channels;
    Axis axes[AXES];
    int wide;            /* whether cells are doubles, and not floats */
    int bits;            /* of a tap's number that say which column it is in; the others, which line */
    int64_t *out;        /* (m, *outputs, c): the flat places of the winners, or -1 */
    const char *numbers; /* (m, *outputs, c): what comes back */
    char *values;        /* (m, *counts, c): what each pixel gets */
    int wide_values, exact;
    int vectors;         /* bytes of those along the channels that compare windows of few taps, if any */
    int alone, everywhere; /* whether windows share no cells, and whether each cell lies under one */
    int in_runs;         /* whether it is compared for each tap which outputs have it as their winner */
    int64_t band, bands; /* how much of an axis a task has, and how many tasks share it */
} Job;

typedef struct Kept {
    int64_t *rows, slots; /* the rows of cells whose winners are kept, and how many are */
    int64_t *lines;       /* where the places begin that lie under each line of taps, or below 0 */
    int32_t *taps;        /* of a row of outputs */
    void *memory;
} Kept;

static int64_t reach(const Axis *axis) {
    return (axis->window - 1) * axis->dilation + 1;
}

static inline int64_t min(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The outputs of an axis whose windows have a certain tap on a cell, and the first of these cells. */
typedef struct Range {
    int64_t begin, end, cell;
} Range;

static inline Range under(const Axis *axis, int64_t tap) {
    int64_t shift = tap * axis->dilation - axis->before; /* output 0 has the tap there */
    int64_t begin = shift < 0 ? (-shift + axis->stride - 1) / axis->stride : 0;
    int64_t end = shift < axis->size ? (axis->size - 1 - shift) / axis->stride + 1 : 0;
    end = end < axis->outputs ? end : axis->outputs;
    if (end <= begin) return (Range){0, 0, 0};
    return (Range){begin, end, begin * axis->stride + shift};
}

/* The flat place under a tap of the output whose first tap is in column `at`; below 0 for none. */
static inline int64_t place_of(const Job *job, int32_t tap, const int64_t *lines, int64_t at) {
    if (tap < 0) return -1;
    const Axis *width = &job->axes[AXES - 1];
    int64_t line = lines[tap >> job->bits], column = tap & ((1 << job->bits) - 1);
    int64_t place = width->places[at + column * width->dilation];
    return line < 0 || place < 0 ? -1 : line + place;
}

#define Number float
#define Tap int32_t
#define NAME(name) name##_floats
#include "winners.h"

#define Number double
#define Tap int64_t
#define NAME(name) name##_doubles
#include "winners.h"

/* Where windows have few taps, a window's cells are compared in vectors along the channels. */
#define Number float
#define Tap int32_t
#define BYTES 16
#define TARGET
#define NAME(name) name##_floats_16
#include "windows.h"

#define Number double
#define Tap int64_t
#define BYTES 16
#define TARGET
#define NAME(name) name##_doubles_16
#include "windows.h"

#if defined(__x86_64__)
#define Number float
#define Tap int32_t
#define BYTES 32
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(name) name##_floats_32
#include "windows.h"

#define Number double
#define Tap int64_t
#define BYTES 32
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(name) name##_doubles_32
#include "windows.h"

#define Number float
#define Tap int32_t
#define BYTES 64
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define NAME(name) name##_floats_64
#include "windows.h"

#define Number double
#define Tap int64_t
#define BYTES 64
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define NAME(name) name##_doubles_64
#include "windows.h"
#endif

/* The largest vectors of up to so many bytes that a pixel's channels fill. */
static int fitting(const Job *job, int most) {
    int64_t bytes = job->channels * (job->wide ? 8 : 4);
    while (most > 16 && bytes % most) most /= 2;
    return most;
}

static void give_windows(const Job *job, int64_t image, int64_t y, const int64_t *lines,
                         const char *back, char *values) {
    const void *cells = job->cells + image * job->apart[0] * (job->wide ? 8 : 4);
#define GIVE(bytes)                                                                        \
    if (job->wide)                                                                         \
        give_windows_doubles_##bytes(job, cells, y, lines, (const double *)back, (double *)values); \
    else give_windows_floats_##bytes(job, cells, y, lines, (const float *)back, (float *)values);
#if defined(__x86_64__)
    if (job->vectors == 64) {
        GIVE(64)
        return;
    }
    if (job->vectors == 32) {
        GIVE(32)
        return;
    }
#endif
    GIVE(16)
#undef GIVE
}

/* Get memory for a task, which is freed with its `rows`. Returns whether there is any. */
static int prepare(const Job *job, Kept *kept) {
    const Axis *depth = &job->axes[0], *height = &job->axes[1];
    int64_t count = job->axes[2].outputs * job->channels, bytes = job->wide ? 16 : 8;
    /* Rows of cells are kept for as long as windows further down lie over them. */
    int64_t slots = depth->window * ((height->window - 1) * height->dilation + 1);
    int64_t most = KEPT / (count * bytes), lines = depth->window * height->window;
    slots = slots < most ? slots : most > 0 ? most : 1;
    kept->rows = malloc((slots + lines) * sizeof(int64_t) + (slots + 2) * count * bytes +
                        count * sizeof(int32_t));
    if (!kept->rows) return 0;
    kept->slots = slots;
    kept->lines = kept->rows + slots;
    kept->memory = kept->lines + lines;
    kept->taps = (int32_t *)((char *)kept->memory + (slots + 2) * count * bytes);
    return 1;
}

static void forget(Kept *kept) {
    for (int64_t i = 0; i < kept->slots; i++) kept->rows[i] = -1;
}

static const int32_t *find_row(const Job *job, Kept *kept, int64_t image, int64_t p, int64_t y) {
    int64_t first = image * job->apart[0];
    return job->wide ? find_row_doubles(job, kept, (const double *)job->cells + first, p, y)
                     : find_row_floats(job, kept, (const float *)job->cells + first, p, y);
}

/* Find where the places begin that lie under the lines of taps of a row of outputs, of those from
   `first` to `last` along an axis. Returns whether there are any. */
static int find_lines(const Job *job, int64_t *lines, int64_t p, int64_t y, int axis, int64_t first,
                      int64_t last) {
    const Axis *depth = &job->axes[0], *height = &job->axes[1];
    int64_t any = -1;
    for (int64_t i = 0; i < depth->window; i++) {
        int64_t d = p * depth->stride + i * depth->dilation - depth->before;
        d = d < 0 || d >= depth->size ? -1 : depth->places[d];
        if (axis == 0) d = d < first || d >= last ? -1 : d - first;
        for (int64_t j = 0; j < height->window; j++) {
            int64_t h = y * height->stride + j * height->dilation - height->before;
            h = h < 0 || h >= height->size ? -1 : height->places[h];
            if (axis == 1) h = h < first || h >= last ? -1 : h - first;
            int64_t line = d < 0 || h < 0 ? -1 : (d * height->count + h) * job->axes[2].count;
            lines[i * height->window + j] = line;
            any = any > line ? any : line;
        }
    }
    return any >= 0;
}

static int find_part(void *context, int number, uint8_t *closure) {
    (void)context;
    const Job *job = (const Job *)closure;
    const Axis *depth = &job->axes[0], *height = &job->axes[1], *width = &job->axes[2];
    int64_t plane = number / job->bands, p = plane % depth->outputs;
    int64_t top = number % job->bands * job->band, bottom = top + job->band;
    bottom = bottom < height->outputs ? bottom : height->outputs;
    Kept kept;
    if (!prepare(job, &kept)) return -1;
    forget(&kept);
    for (int64_t y = top; y < bottom; y++) {
        const int32_t *taps = find_row(job, &kept, plane / depth->outputs, p, y);
        find_lines(job, kept.lines, p, y, 0, 0, depth->count);
        int64_t *out = job->out + (plane * height->outputs + y) * width->outputs * job->channels;
        for (int64_t o = 0; o < width->outputs; o++)
            for (int64_t i = 0; i < job->channels; i++)
                *out++ = place_of(job, *taps++, kept.lines, o * width->stride - width->before);
    }
    free(kept.rows);
    return 0;
}

/* Clear lines of so many bytes from `first` on; returns the first one behind them. */
static int64_t clear(char *values, int64_t bytes, int64_t first, int64_t end) {
    if (end <= first) return first;
    memset(values + first * bytes, 0, (end - first) * bytes);
    return end;
}

static int give_part(void *context, int number, uint8_t *closure) {
    (void)context;
    const Job *job = (const Job *)closure;
    const Axis *depth = &job->axes[0], *height = &job->axes[1], *width = &job->axes[2];
    int axis = depth->count > 1 ? 0 : 1;
    int64_t image = number / job->bands, first = number % job->bands * job->band;
    int64_t last = first + job->band, end = job->axes[axis].count;
    last = last < end ? last : end;
    int64_t of_line = width->count * job->channels * (axis ? 1 : height->count);
    int64_t count = (last - first) * of_line, bytes = job->wide_values ? 8 : 4;
    char *values = job->values + (image * end + first) * of_line * bytes, *rest = NULL;
    /* Where windows have few taps, each row is cleared just before, since it is in the cache then. */
    int64_t cleared = job->vectors ? job->everywhere * (last - first) : last - first;
    if (!job->vectors) memset(values, 0, count * bytes);
    Kept kept;
    if (!prepare(job, &kept)) return -1;
    if (job->exact && !(rest = calloc(count, bytes))) {
        free(kept.rows);
        return -1;
    }
    forget(&kept);
    int64_t of_row = width->outputs * job->channels * bytes;
    const char *back = job->numbers + image * depth->outputs * height->outputs * of_row;
    for (int64_t p = 0; p < depth->outputs; p++)
        for (int64_t y = 0; y < height->outputs; y++, back += of_row) {
            if (!find_lines(job, kept.lines, p, y, axis, first, last)) continue;
            if (job->vectors) {
                int64_t below = y * height->stride - height->before + reach(height) - first;
                cleared = clear(values, of_line * bytes, cleared, min(below, last - first));
                give_windows(job, image, y, kept.lines, back, values);
                continue;
            }
            const int32_t *taps = find_row(job, &kept, image, p, y);
            if (bytes == 8)
                give_row_doubles(job, taps, kept.lines, (const double *)back, (double *)values,
                                 (double *)rest);
            else
                give_row_floats(job, taps, kept.lines, (const float *)back, (float *)values,
                                (float *)rest);
        }
    clear(values, of_line * bytes, cleared, last - first);
    if (rest && bytes == 8) add_rest_doubles((double *)values, (const double *)rest, count);
    if (rest && bytes == 4) add_rest_floats((float *)values, (const float *)rest, count);
    free(rest);
    free(kept.rows);
    return 0;
}

/* Read what is asked for. `sizes` are m and c, how far apart images, planes and rows are, and then of
   each axis all but its places. Cells are doubles if `wide`, and else floats. */
static Job job_of(const char *cells, const int64_t *sizes, const int64_t *const *places, int wide) {
    Job job = {.cells = cells, .channels = sizes[1], .apart = {sizes[2], sizes[3], sizes[4]},
               .wide = wide};
    for (int i = 0; i < AXES; i++) {
        const int64_t *of = sizes + 5 + 7 * i;
        job.axes[i] = (Axis){of[0], of[1], of[2], of[3], of[4], of[5], of[6], places[i]};
    }
    while ((int64_t)1 << job.bits < job.axes[2].window) job.bits++;
    return job;
}

/* Divide an axis of so many outputs or places among the tasks of `parts` of the images. */
static int divide(Job *job, int64_t parts, int64_t count, int64_t least) {
    int64_t bands = (TASKS + parts - 1) / parts, band = (count + bands - 1) / bands;
    least = least < count ? least : count;
    job->band = band < least ? least : band;
    job->bands = (count + job->band - 1) / job->band;
    return (int)(parts * job->bands);
}

/* Write the places of the winners. Returns 0, or -1 if there is not enough memory. */
int winners_find(const char *cells, const int64_t *sizes, const int64_t *depth,
                 const int64_t *height, const int64_t *width, int64_t *out, int wide) {
    Job job = job_of(cells, sizes, (const int64_t *[]){depth, height, width}, wide);
    job.out = out;
    const Axis *rows = &job.axes[1];
    int64_t planes = sizes[0] * job.axes[0].outputs;
    int tasks = divide(&job, planes, rows->outputs, HALO * reach(rows) / rows->stride);
    return pool_run(NULL, find_part, 0, tasks, (uint8_t *)&job);
}

/* Write what each pixel gets. Sums are `exact` but for their last roundings, or made number by number;
   they are doubles if `wide_values`. The processor has vectors of so many bytes. Returns 0, or -1 if
   there is not enough memory. */
int winners_give(const char *cells, const int64_t *sizes, const int64_t *depth,
                 const int64_t *height, const int64_t *width, const char *numbers, char *values,
                 int wide, int wide_values, int exact, int vectors) {
    Job job = job_of(cells, sizes, (const int64_t *[]){depth, height, width}, wide);
    job.numbers = numbers;
    job.values = values;
    job.wide_values = wide_values;
    job.exact = exact;
    const Axis *axis = &job.axes[job.axes[0].count > 1 ? 0 : 1];
    const Axis *columns = &job.axes[2];
    int64_t taps = job.axes[0].window * job.axes[1].window * columns->window;
    int in_order = !exact && taps <= SMALL;
    for (int64_t i = 0; i < columns->size; i++)
        in_order &= columns->places[0] >= 0 && columns->places[i] == columns->places[0] + i;
    job.in_runs = in_order && taps <= TAPS && (columns->stride == 1 || job.channels >= FEW);
    /* A plane has its cells to itself, and vectors are filled. */
    if (in_order && job.axes[0].count == 1 && wide == wide_values && job.channels >= LEAST)
        job.vectors = fitting(&job, vectors);
    job.alone = job.everywhere = 1;
    for (int i = 1; i < AXES; i++) {
        const Axis *each = &job.axes[i];
        job.alone &= each->stride >= reach(each);
        job.everywhere &= each->dilation == 1 && each->stride == each->window && !each->before &&
                          each->outputs * each->stride == each->size && each->size == each->count;
    }
    int tasks = divide(&job, sizes[0], axis->count, HALO * reach(axis));
    return pool_run(NULL, give_part, 0, tasks, (uint8_t *)&job);
}
