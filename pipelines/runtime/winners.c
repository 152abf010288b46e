/* Which cell is the largest under each window, and what pixels get of what comes back to windows.

   Of equal cells the first in reading order wins, and of NaNs the last. So a window's cells are gone
   through from the last to the first: one takes the place of the best if it is not smaller, unless
   the best is NaN. Columns come first: the winners of a row of cells under each window's columns
   serve all windows that lie over that row. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { AXES = 3, TASKS = 32, KEPT = 1 << 23 }; /* KEPT: the most bytes of rows that a task keeps */

typedef int (*Task)(void *context, int number, uint8_t *closure);
int pool_run(void *context, Task task, int min, int size, uint8_t *closure);

typedef struct Axis {
    int64_t size, outputs, window, stride, dilation;
    int64_t before;     /* how far the first window begins before the first cell */
    const void *places; /* what each cell's place adds up from, below 0 if it has none: int64, and of
                           the last axis (size, c) of Place */
} Axis;

typedef struct Find {
    const char *cells;   /* (m, *sizes, c), of which rows have no gaps */
    int64_t apart[AXES]; /* how many numbers lie between two images, planes and rows */
    int64_t *out;        /* (m, *outputs, c): the places of the winners, or -1 */
    int64_t channels;
    Axis axes[AXES];
    int band, bands; /* how many rows of the output a task has, and how many tasks a plane */
} Find;

typedef struct Give {
    const int64_t *places; /* (m, outputs, c) */
    const char *numbers;   /* (m, outputs, c): what comes back */
    char *values;          /* (m, count, c): what each pixel gets */
    int64_t outputs, channels, start, count, band;
    int bands, exact;
} Give;

#define Number float
#define Place int32_t
#define NAME(name) name##_floats
#include "winners.h"

#define Number double
#define Place int64_t
#define NAME(name) name##_doubles
#include "winners.h"

/* Write the places of the winners. `sizes` are m and c, how far apart images, planes and rows are, and
   then of each axis all but its places. Numbers are doubles if `wide`, and else floats. Returns 0, or -1 if there is not enough memory. */
int winners_find(const char *cells, const int64_t *sizes, const void *depth_places,
                 const void *height_places, const void *width_places, int64_t *out, int wide) {
    Find job = {.cells = cells, .out = out, .channels = sizes[1],
                .apart = {sizes[2], sizes[3], sizes[4]}};
    const void *places[AXES] = {depth_places, height_places, width_places};
    for (int i = 0; i < AXES; i++) {
        const int64_t *of = sizes + 5 + 6 * i;
        job.axes[i] = (Axis){of[0], of[1], of[2], of[3], of[4], of[5], places[i]};
    }
    int64_t planes = sizes[0] * job.axes[0].outputs, rows = job.axes[1].outputs;
    /* Each band begins with as many rows as a window has, so that it should not have fewer itself. */
    int64_t bands = (TASKS + planes - 1) / planes, band = (rows + bands - 1) / bands;
    int64_t least = job.axes[1].window < rows ? job.axes[1].window : rows;
    job.band = (int)(band < least ? least : band);
    job.bands = (int)((rows + job.band - 1) / job.band);
    return pool_run(NULL, wide ? find_part_doubles : find_part_floats, 0, (int)planes * job.bands,
                    (uint8_t *)&job);
}

/* Write what each pixel gets. `sizes` are m, the outputs and the channels, and the place of the first
   pixel and how many there are. Sums are `exact` but for their last roundings, or made number by
   number. Returns 0, or -1 if there is not enough memory. */
int winners_give(const int64_t *places, const char *numbers, const int64_t *sizes, char *values,
                 int exact, int wide) {
    Give job = {.places = places, .numbers = numbers, .values = values, .outputs = sizes[1],
                .channels = sizes[2], .start = sizes[3], .count = sizes[4], .exact = exact};
    int64_t bands = sizes[0] < 4 ? 4 : 1; /* every band goes through all outputs of its image */
    job.band = (job.count + bands - 1) / bands;
    job.bands = (int)((job.count + job.band - 1) / job.band);
    return pool_run(NULL, wide ? give_part_doubles : give_part_floats, 0, (int)sizes[0] * job.bands,
                    (uint8_t *)&job);
}
