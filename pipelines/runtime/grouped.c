/* Convolutions whose outputs fill no vectors one pixel and one group at a time, and those with few terms.
   Vectors lie along the outputs of all groups of a pixel, or of several pixels, as they lie side by side:
   each lane takes its number out of a vector of cells. Halide has no words for lanes that change places by
   numbers which are only known when it runs.

   These are pipelines as Halide makes them: they take a list of where their arguments lie, in the order
   that `grouped.py` gives, and compute the definition in `convolution.py`, in the same order. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
    TILE = 8,     /* vectors of outputs that share the kernels' numbers, enough to keep multipliers busy */
    TOGETHER = 8, /* vectors of a pixel's outputs that are computed together, so that their cells are near */
    CHAIN = 64    /* the most terms in a block of a long sum, or one tap; as in `convolution.py` */
};

/* How vectors take their numbers: as they lie; from half a vector; from a vector; one by one. */
enum { IN_ORDER, NEAR, WITHIN, ANYWHERE };

#define UNROLL _Pragma("GCC unroll 8")
#define INLINE static inline __attribute__((always_inline))

typedef int (*Task)(void *context, int number, uint8_t *closure);
int pool_run(void *context, Task task, int min, int size, uint8_t *closure);

/* An array, in the layout of Halide's halide_buffer_t; the innermost axis comes first. */
typedef struct Axis {
    int32_t min, extent, stride;
    uint32_t flags;
} Axis;
typedef struct Buffer {
    uint64_t device;
    const void *interface;
    void *host;
    uint64_t flags;
    uint8_t code, bits;
    uint16_t lanes;
    int32_t dimensions;
    const Axis *axes;
    void *unused;
} Buffer;

typedef struct Job {
    const Buffer *images, *rows, *before, *after, *slabs, *kernels, *out; /* slabs of volumes alone */
    const void *padding;
    int64_t left, right, first, channels, sx, sy, dx, dy, wide, high, strip, chunk, strips;
    int64_t kw, kh, kd, depth, of_group; /* the numbers of a group's channels and outputs */
    int64_t together, sections; /* how many outputs of a pixel have no gaps, and how often so many come */
    int64_t block; /* the most terms that are added up before these sums are; 0 for all */
    /* After some pixels, the lanes of vectors come again: how many pixels that are, and how many vectors;
       how often they come in a row, and how often wholly. */
    int64_t pixels, vectors, periods, whole_periods;
    int64_t at_once; /* rows whose outputs are divided into tiles as if they were one */
} Job;

static int64_t common_divisor(int64_t a, int64_t b) { return b ? common_divisor(b, a % b) : a; }

static int64_t number(void *const *arguments, int place) { return *(const int32_t *)arguments[place]; }

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* The place of an output's first channel, counted from that of its period's first one. */
static int64_t place_of(const Job *job, int64_t output) {
    int64_t pixel = job->pixels > 1 ? output / job->together : 0;
    int64_t group = (output - pixel * job->together) / job->of_group;
    return pixel * job->sx * job->channels + group * job->depth;
}

/* Whether a vector of cells holds what each vector of outputs needs. */
static int within_vectors(const Job *job, int64_t many) {
    for (int64_t v = 0; v < job->vectors; v++)
        if (place_of(job, (v + 1) * many - 1) - place_of(job, v * many) >= many) return 0;
    return 1;
}

/* Read the arguments, for vectors of so many numbers. */
static Job job_of(void *const *arguments, int volume, int blocks, int64_t many) {
    Job job = {.images = arguments[0], .padding = arguments[1], .rows = arguments[2],
               .before = arguments[3], .after = arguments[4], .left = number(arguments, 5),
               .right = number(arguments, 6), .first = number(arguments, 7)};
    arguments += 9;
    if (volume) job.slabs = *arguments++;
    job.channels = number(arguments, 0);
    job.sx = number(arguments, 1), job.sy = number(arguments, 2);
    job.dx = number(arguments, 3), job.dy = number(arguments, 4);
    job.wide = number(arguments, 5), job.high = number(arguments, 6);
    job.strip = number(arguments, 7), job.chunk = number(arguments, 8);
    job.kernels = arguments[9], job.out = arguments[10];
    const Axis *kernels = job.kernels->axes, *out = job.out->axes;
    job.of_group = out[0].extent, job.depth = kernels[2].extent;
    job.kw = kernels[3].extent, job.kh = kernels[4].extent, job.kd = volume ? kernels[5].extent : 1;
    if (blocks) job.block = job.depth < CHAIN ? CHAIN / job.depth * job.depth : job.depth;
    int64_t groups = out[1].extent;
    int whole = groups == 1 || (out[1].stride == job.of_group && kernels[1].stride == job.of_group);
    job.together = whole ? job.of_group * groups : job.of_group;
    job.sections = whole ? 1 : groups;
    job.pixels = 1, job.vectors = ceiling(job.together, many);
    if (whole && out[2].stride == job.together) {
        Job beside = job;
        beside.pixels = many / common_divisor(many, job.together);
        beside.vectors = beside.pixels * job.together / many;
        int64_t time = beside.vectors * ceiling(job.wide, beside.pixels);
        if (time < 0.9 * job.vectors * job.wide && within_vectors(&beside, many)) job = beside;
    }
    job.periods = ceiling(job.wide, job.pixels), job.whole_periods = job.wide / job.pixels;
    for (job.at_once = 1; job.at_once < least(TILE, job.strip); job.at_once++) { /* until tiles are full */
        int64_t all = job.at_once * job.periods;
        if (8 * all >= 7 * TILE * ceiling(all, TILE)) break;
    }
    job.strips = ceiling(job.high, job.strip);
    return job;
}

/* The slab under tap kz of slab n of the output, or -1 for padding. */
static int64_t slab_under(const Job *job, int64_t n, int64_t kz) {
    if (!job->slabs) return n;
    return ((const int32_t *)job->slabs->host)[kz + n * job->slabs->axes[1].stride];
}

static int run(Job *job, Task task) {
    if (!job->together || !job->wide || !job->high) return 0; /* There are no outputs. */
    int64_t chunks = ceiling(job->out->axes[4].extent, job->chunk);
    return pool_run(NULL, task, 0, (int)(job->strips * chunks), (uint8_t *)job);
}

/* What is called: for images, for volumes, and both for long sums. */
#define PIPELINE(name, part, volume, blocks, many)                                               \
    int name##_argv(void *const *arguments);                                                     \
    int name##_argv(void *const *arguments) {                                                    \
        Job job = job_of(arguments, volume, blocks, many);                                       \
        return run(&job, part);                                                                  \
    }
#define PIPELINES(types, numbers, level, many)                                                   \
    PIPELINE(grouped_##types##_##level, part_##numbers##_##level, 0, 0, many)                    \
    PIPELINE(grouped_##types##_long_##level, part_##numbers##_##level, 0, 1, many)               \
    PIPELINE(grouped_##types##_volume_##level, part_##numbers##_##level, 1, 0, many)             \
    PIPELINE(grouped_##types##_volume_long_##level, part_##numbers##_##level, 1, 1, many)

#if defined(__x86_64__)
#define Number float
#define Word int32_t
#define BYTES 64
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl")))
#define NAME(name) name##_f32_avx512
#define FEW(from) _mm512_castps256_ps512(_mm256_loadu_ps(from))
#define TAKE(cells, places) _mm512_permutexvar_ps((__m512i)(places), (__m512)(cells))
#define STORE(to, mask, numbers)                                                                \
    _mm512_mask_storeu_ps(to, (__mmask16)(mask), _mm512_loadu_ps(numbers))
#include "grouped.h"
PIPELINES(f32_f32_f32, f32, avx512, 16)
PIPELINES(u8_f32_f32, f32, avx512, 16)

#define Number double
#define Word int64_t
#define BYTES 64
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl")))
#define NAME(name) name##_f64_avx512
#define FEW(from) _mm512_castpd256_pd512(_mm256_loadu_pd(from))
#define TAKE(cells, places) _mm512_permutexvar_pd((__m512i)(places), (__m512d)(cells))
#define STORE(to, mask, numbers)                                                                \
    _mm512_mask_storeu_pd(to, (__mmask8)(mask), _mm512_loadu_pd(numbers))
#include "grouped.h"
PIPELINES(f64_f64_f64, f64, avx512, 8)

#define Number float
#define Word int32_t
#define BYTES 32
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(name) name##_f32_avx2
#define FEW(from) _mm256_castps128_ps256(_mm_loadu_ps(from))
#define TAKE(cells, places) _mm256_permutevar8x32_ps((__m256)(cells), (__m256i)(places))
#include "grouped.h"
PIPELINES(f32_f32_f32, f32, avx2, 8)
PIPELINES(u8_f32_f32, f32, avx2, 8)

#define Number double
#define Word int64_t
#define BYTES 32
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(name) name##_f64_avx2
#include "grouped.h"
PIPELINES(f64_f64_f64, f64, avx2, 4)

#define Number float
#define Word int32_t
#define BYTES 16
#define TARGET
#define NAME(name) name##_f32_baseline
#include "grouped.h"
PIPELINES(f32_f32_f32, f32, baseline, 4)
PIPELINES(u8_f32_f32, f32, baseline, 4)

#define Number double
#define Word int64_t
#define BYTES 16
#define TARGET
#define NAME(name) name##_f64_baseline
#include "grouped.h"
PIPELINES(f64_f64_f64, f64, baseline, 2)

#else
#define Number float
#define Word int32_t
#define BYTES 16
#define TARGET
#define NAME(name) name##_f32_neon
#include "grouped.h"
PIPELINES(f32_f32_f32, f32, neon, 4)
PIPELINES(u8_f32_f32, f32, neon, 4)

#define Number double
#define Word int64_t
#define BYTES 16
#define TARGET
#define NAME(name) name##_f64_neon
#include "grouped.h"
PIPELINES(f64_f64_f64, f64, neon, 2)
#endif
