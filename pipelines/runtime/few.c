/* Gradients of convolutions by kernels of few numbers: each gets the sum of the products of outputs by the
   cells that its tap lies on, row after row.

   Where there are few kernels, vectors lie along the rows, and the channels of a row are put one after
   another for that; elsewhere they lie along the kernels. They are added up in chains, and the chains in
   doubles whose rounding errors are added up too. Tasks have sums of their own, which are added in order;
   which rows a task has depends on the shapes alone. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    TASKS = 32,
    WORK = 1 << 16, /* products, below which another task does not pay */
    OUTPUTS = 512,  /* nor below so many outputs, because each task has sums of its own */
    CHAIN = 64,     /* the most vectors that are added up one after another, or one row more; along the
                       kernels, the most outputs of a row, and rows */
    ROWS = 8,       /* whose products are added up at once */
    KEPT = 1 << 20  /* the most bytes of rows that a task keeps */
};

#define UNROLL _Pragma("GCC unroll 12")

typedef int (*Task)(void *context, int number, uint8_t *closure);
int pool_run(void *context, Task task, int min, int size, uint8_t *closure);

typedef struct Sum {
    double sum, rest; /* the rest is what roundings lost */
} Sum;

typedef struct Job {
    const char *images, *outputs; /* of which rows have no gaps */
    int64_t images_apart[2], outputs_apart[2]; /* how many numbers lie between images, and rows */
    int64_t batch, groups, channels, kernels;  /* of a group */
    int64_t high, wide, kh, kw, sy, sx, dy, dx;
    int64_t lines;                /* how many rows of cells there are */
    const int32_t *rows, *columns; /* the pixels of rows and columns of cells, below 0 for padding */
    double padding;
    Sum *totals; /* (tasks, kh, channels, groups * kernels, kw), or along the kernels (tasks, kh, kw,
                    channels, kernels) */
    int64_t rows_of_task;
} Job;

/* How many rows of cells a task keeps, of so many bytes each: no more than the windows of some rows reach
   over. */
static int64_t rows_kept(const Job *job, int64_t bytes) {
    int64_t reach = (job->kh - 1) * job->dy + 1 + (ROWS - 1) * job->sy, fit = KEPT / bytes;
    return fit < 1 ? 1 : fit < reach ? fit : reach;
}

/* Source: D. Knuth, The Art of Computer Programming, volume 2, section 4.2.2, theorem B. */
static inline void add(Sum *total, double number) {
    double sum = total->sum + number, added = sum - total->sum;
    total->rest += (total->sum - (sum - added)) + (number - added);
    total->sum = sum;
}

#define Number float
#define Word int32_t
#define BYTES 16
#define TARGET
#define NAME(name) name##_floats
#include "few.h"

#define Number double
#define Word int64_t
#define BYTES 16
#define TARGET
#define NAME(name) name##_doubles
#include "few.h"

#if defined(__x86_64__)
#define Number float
#define Word int32_t
#define BYTES 32
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(name) name##_floats_avx2
#include "few.h"

#define Number double
#define Word int64_t
#define BYTES 32
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(name) name##_doubles_avx2
#include "few.h"

#define Number float
#define Word int32_t
#define BYTES 64
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl")))
#define NAME(name) name##_floats_avx512
#include "few.h"

#define Number double
#define Word int64_t
#define BYTES 64
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl")))
#define NAME(name) name##_doubles_avx512
#include "few.h"
#endif

/* Add the gradient by each number of the kernels to `totals`, one of those in Job. `sizes` are the numbers
   of Job from `images_apart` to `lines`. There is one group if vectors lie `along` the kernels. Numbers are
   doubles if `wide`, and else floats; the processor has vectors of so many bytes. Returns 0, or -1 if there
   is not enough memory. */
int few_run(const char *images, const char *outputs, const int64_t *sizes, const int32_t *rows,
            const int32_t *columns, double padding, double *totals, int wide, int vectors, int along) {
    Job job = {.images = images, .outputs = outputs, .rows = rows, .columns = columns,
               .padding = padding};
    memcpy(job.images_apart, sizes, 17 * sizeof(int64_t)); /* all of them, up to `lines` */
    int64_t count = job.kh * job.channels * job.kernels * job.groups * job.kw;
    int64_t lines = job.batch * job.high, tasks = (int64_t)(1.0 * lines * job.wide * count / WORK);
    int64_t most = lines * job.wide / OUTPUTS;
    tasks = tasks < most ? tasks : most;
    tasks = tasks < 1 ? 1 : tasks < TASKS ? tasks : TASKS;
    job.rows_of_task = (lines + tasks - 1) / tasks;
    tasks = (lines + job.rows_of_task - 1) / job.rows_of_task;
    if (!(job.totals = calloc(tasks * count, sizeof(Sum)))) return -1;
    Task rows_first[] = {rows_part_floats, rows_part_doubles};
    Task kernels_first[] = {along_part_floats, along_part_doubles};
    Task task = (along ? kernels_first : rows_first)[wide];
#if defined(__x86_64__)
    Task rows_avx2[] = {rows_part_floats_avx2, rows_part_doubles_avx2};
    Task kernels_avx2[] = {along_part_floats_avx2, along_part_doubles_avx2};
    Task rows_avx512[] = {rows_part_floats_avx512, rows_part_doubles_avx512};
    Task kernels_avx512[] = {along_part_floats_avx512, along_part_doubles_avx512};
    if (vectors == 32) task = (along ? kernels_avx2 : rows_avx2)[wide];
    if (vectors == 64) task = (along ? kernels_avx512 : rows_avx512)[wide];
#else
    (void)vectors;
#endif
    int code = pool_run(NULL, task, 0, (int)tasks, (uint8_t *)&job);
    const Sum *from = job.totals;
    for (int64_t number = 0; !code && number < tasks; number++)
        for (Sum *into = (Sum *)totals, *end = into + count; into < end; into++, from++) {
            add(into, from->sum);
            into->rest += from->rest;
        }
    free(job.totals);
    return code;
}
