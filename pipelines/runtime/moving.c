/* Numbers of a given rank under a window of any shape, by a histogram that moves with the window.

   A step to the right takes the numbers out of the histogram that the window leaves, and puts those
   in that it enters: the ends of the window's lines, however long these are. Numbers have 16 bits. A
   bin of `top` counts those with the same upper 6 bits, one of `middle` those with the same upper 11,
   and one of `fine` equal numbers. So a search goes through a few bins of each.

   Source: T. Huang, G. Yang and G. Tang, "A fast two-dimensional median filtering algorithm", IEEE
   Transactions on Acoustics, Speech, and Signal Processing 27 (1979), with bins of three sizes. */

#include <stdint.h>
#include <stdlib.h>

enum { TOP = 10, MIDDLE = 5, BITS = 16, TASKS = 32 };

typedef int (*Task)(void *context, int number, uint8_t *closure);
int pool_run(void *context, Task task, int min, int size, uint8_t *closure);

typedef struct Job {
    const uint16_t *cells;
    const int64_t *rows; /* for each row of the output, how many cells after the first it begins */
    const int64_t *taps, *entering, *leaving; /* how many cells after a place */
    uint16_t *out;
    int taps_count, ends; /* how many taps, and how many that enter or leave at a step */
    int row_count, columns, rank, band;
} Job;

typedef struct Histogram {
    uint16_t fine[1 << BITS], middle[1 << (BITS - MIDDLE)], top[1 << (BITS - TOP)];
    int first, below; /* a bin of `top`, and how many numbers lie below it */
} Histogram;

static inline void change(Histogram *histogram, int number, int by) {
    histogram->fine[number] += by;
    histogram->middle[number >> MIDDLE] += by;
    histogram->top[number >> TOP] += by;
    histogram->below += number >> TOP < histogram->first ? by : 0;
}

static inline int of_rank(Histogram *histogram, int rank) {
    int first = histogram->first, below = histogram->below;
    while (below > rank) below -= histogram->top[--first];
    while (below + histogram->top[first] <= rank) below += histogram->top[first++];
    histogram->first = first;
    histogram->below = below;
    rank -= below;
    int middle = first << (TOP - MIDDLE);
    for (; rank >= histogram->middle[middle]; middle++) rank -= histogram->middle[middle];
    int fine = middle << MIDDLE;
    for (; rank >= histogram->fine[fine]; fine++) rank -= histogram->fine[fine];
    return fine;
}

static int move_part(void *context, int number, uint8_t *closure) {
    (void)context;
    const Job *job = (const Job *)closure;
    int end = (number + 1) * job->band;
    Histogram *histogram = calloc(1, sizeof *histogram);
    if (!histogram) return -1;
    for (int y = number * job->band; y < (end < job->row_count ? end : job->row_count); y++) {
        const uint16_t *place = job->cells + job->rows[y];
        uint16_t *out = job->out + (int64_t)y * job->columns;
        for (int i = 0; i < job->taps_count; i++) change(histogram, place[job->taps[i]], 1);
        out[0] = (uint16_t)of_rank(histogram, job->rank);
        for (int x = 1; x < job->columns; x++, place++) {
            for (int i = 0; i < job->ends; i++) {
                change(histogram, place[job->leaving[i]], -1);
                change(histogram, place[job->entering[i] + 1], 1);
            }
            out[x] = (uint16_t)of_rank(histogram, job->rank);
        }
        for (int i = 0; i < job->taps_count; i++) change(histogram, place[job->taps[i]], -1);
    }
    free(histogram);
    return 0;
}

/* Write the number of this rank under the window at every column of each row; a window may have
   65,535 taps. Returns 0, or -1 if there is not enough memory. */
int moving_run(const uint16_t *cells, const int64_t *rows, int row_count, int columns,
               const int64_t *taps, int taps_count, const int64_t *entering, const int64_t *leaving,
               int ends, uint16_t *out, int rank) {
    Job job = {.cells = cells, .rows = rows, .taps = taps, .entering = entering, .leaving = leaving,
               .out = out, .taps_count = taps_count, .ends = ends, .row_count = row_count,
               .columns = columns, .rank = rank};
    job.band = (row_count + TASKS - 1) / TASKS;
    return pool_run(NULL, move_part, 0, (row_count + job.band - 1) / job.band, (uint8_t *)&job);
}
