/* Numbers of a given rank under large windows of bytes, by histograms that move with the window.

   Every column of cells has a histogram of its numbers under the window's rows. A step down takes one
   number out of it and puts one in. The window's histogram is the sum of its columns' histograms, and
   a step to the right subtracts one of them and adds another. So the work does not grow with the
   window but for the sums that begin a row.

   Histograms count upwards: bin b of a coarse one counts the numbers whose upper four bits are at
   most b, and bin b of a fine one, of which there are 16, those numbers with the same upper bits
   whose lower ones are at most b. So the bins that do not exceed the rank tell the number by their
   count, which needs no branch. A fine histogram of the window is brought up to date only where it
   is asked for.

   Source: S. Perreault and P. Hebert, "Median filtering in constant time", IEEE Transactions on Image
   Processing 16 (2007), with counts that are summed up. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* All processors have registers of 16 bytes. */
typedef int16_t Half __attribute__((vector_size(16)));
typedef struct Bins {
    Half low, high;
} Bins;

enum { BINS = 16, WIDTH = 256, LEAST = 16, TASKS = 32 };

typedef int (*Task)(void *context, int number, uint8_t *closure);
int pool_run(void *context, Task task, int min, int size, uint8_t *closure);

typedef struct Job {
    const uint8_t *cells;
    const int64_t *planes; /* where the planes begin that lie under a window, from the first one */
    uint8_t *out;
    int64_t apart, out_apart; /* bytes from a row to the next */
    int count;                /* of planes */
    int rows, columns;        /* of the output */
    int height, width, rank;  /* of the window */
    int bands, band;          /* how many parts the rows are divided into, and the rows of one */
    uint8_t sign;             /* 128 for signed bytes, which it makes unsigned ones of the same order */
} Job;

static int smaller(int a, int b) { return a < b ? a : b; }

static inline void add(Bins *bins, const Bins *others) {
    bins->low += others->low;
    bins->high += others->high;
}

static inline void subtract(Bins *bins, const Bins *others) {
    bins->low -= others->low;
    bins->high -= others->high;
}

/* How many bins are at most `rank`. A comparison gives -1 where it holds. */
static inline int below(const Bins *bins, int rank) {
    Half limit = (Half){0} + (int16_t)rank;
    Half minus = (Half)(bins->low <= limit) + (Half)(bins->high <= limit), counts = -minus;
    uint64_t fours[2];
    memcpy(fours, &counts, sizeof fours);
    return (int)((fours[0] + fours[1]) * 0x0001000100010001u >> 48);
}

/* Put the numbers of a row of cells into the columns' histograms (`add`), or take them out. */
static inline void count(const Job *job, const uint8_t *row, int columns,
                         void (*change)(Bins *, const Bins *), const Bins *steps, Bins *coarse,
                         Bins *fine) {
    for (int plane = 0; plane < job->count; plane++) {
        const uint8_t *cells = row + job->planes[plane];
        for (int x = 0; x < columns; x++) {
            int number = cells[x] ^ job->sign, high = number >> 4, low = number & 15;
            change(&coarse[x], &steps[high]);
            change(&fine[(int64_t)high * columns + x], &steps[low]);
        }
    }
}

static void rank_row(const Job *job, uint8_t *out, int outputs, int columns, const Bins *coarse,
                     const Bins *fine) {
    int width = job->width, upto[BINS]; /* the output that each fine histogram was last needed for */
    Bins high = {{0}, {0}}, low[BINS];
    for (int x = 0; x < width - 1; x++) add(&high, &coarse[x]);
    for (int b = 0; b < BINS; b++) upto[b] = -width;
    for (int x = 0; x < outputs; x++) {
        add(&high, &coarse[x + width - 1]);
        int16_t counts[BINS];
        memcpy(counts, &high, sizeof counts);
        int upper = below(&high, job->rank);
        const Bins *some = &fine[(int64_t)upper * columns];
        Bins sum = low[upper];
        int done = upto[upper];
        if (x - done >= width) {
            sum = some[x];
            for (int i = 1; i < width; i++) add(&sum, &some[x + i]);
        } else {
            for (; done < x; done++) {
                add(&sum, &some[done + width]);
                subtract(&sum, &some[done]);
            }
        }
        low[upper] = sum;
        upto[upper] = x;
        int lower = below(&sum, job->rank - (upper ? counts[upper - 1] : 0));
        out[x] = (uint8_t)(upper << 4 | lower) ^ job->sign;
        subtract(&high, &coarse[x]);
    }
}

static int rank_part(void *context, int number, uint8_t *closure) {
    (void)context;
    const Job *job = (const Job *)closure;
    int first = number / job->bands * WIDTH, top = number % job->bands * job->band;
    int outputs = smaller(WIDTH, job->columns - first), columns = outputs + job->width - 1;
    int bottom = smaller(top + job->band, job->rows);
    size_t bytes = (size_t)(BINS + 1) * columns * sizeof(Bins);
    char *memory = calloc(1, bytes + sizeof(Bins));
    if (!memory) return -1;
    Bins *coarse = (Bins *)(((uintptr_t)memory + sizeof(Bins) - 1) & ~(sizeof(Bins) - 1));
    Bins *fine = coarse + columns, steps[BINS];
    for (int b = 0; b < BINS; b++) {
        int16_t step[BINS];
        for (int i = 0; i < BINS; i++) step[i] = i >= b;
        memcpy(&steps[b], step, sizeof step);
    }
    const uint8_t *row = job->cells + top * job->apart + first;
    for (int y = 0; y < job->height - 1; y++)
        count(job, row + y * job->apart, columns, add, steps, coarse, fine);
    for (int y = top; y < bottom; y++, row += job->apart) {
        count(job, row + (job->height - 1) * job->apart, columns, add, steps, coarse, fine);
        rank_row(job, job->out + y * job->out_apart + first, outputs, columns, coarse, fine);
        count(job, row, columns, subtract, steps, coarse, fine);
    }
    free(memory);
    return 0;
}

/* Write the number of this rank under every window; a window may have 32,767 numbers. Returns 0, or
   -1 if there is not enough memory. */
int ranks_run(const uint8_t *cells, int64_t apart, const int64_t *planes, int count, uint8_t *out,
              int64_t out_apart, int rows, int columns, int height, int width, int rank, int sign) {
    Job job = {.cells = cells, .planes = planes, .out = out, .apart = apart, .out_apart = out_apart,
               .count = count, .rows = rows, .columns = columns, .height = height, .width = width,
               .rank = rank, .sign = (uint8_t)sign};
    int strips = (columns + WIDTH - 1) / WIDTH, least = height > LEAST ? height : LEAST;
    /* Each band begins with as many rows as a window has, so that it should not have fewer itself. */
    int bands = (TASKS + strips - 1) / strips, most = (rows + least - 1) / least;
    bands = bands < most ? bands : most;
    job.band = (rows + bands - 1) / bands;
    job.bands = (rows + job.band - 1) / job.band;
    return pool_run(NULL, rank_part, 0, strips * job.bands, (uint8_t *)&job);
}
