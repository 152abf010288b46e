/* Convolutions of groups of one channel: each output has the window of one channel, which may have several
   outputs. Vectors lie along the outputs of a pixel, or of several that lie side by side; each lane takes
   its channel out of a vector of channels. Halide has no words for lanes that change places by numbers
   which are only known when it runs.

   These are pipelines as Halide makes them: they take a list of where their arguments lie, in the order
   that `channelwise.py` gives, and compute the definition in `convolution.py`, in the same order. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
    TILE = 8,   /* vectors of outputs that share the kernels' numbers, enough to keep multipliers busy */
    BLOCK = 8   /* vectors of a pixel's outputs that are computed together, so that the rows of cells that
                   their channels need are near */
};

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
    int64_t kw, kh, kd;
    int64_t multiple; /* how many outputs a channel has */
    int64_t together, sections; /* how many outputs of a pixel have no gaps, and how often so many come */
    /* After some pixels, the lanes of vectors come again: how many pixels that are, and how many vectors;
       how often they come in a row, and how often wholly. */
    int64_t pixels, vectors, periods, whole_periods;
} Job;

static int64_t common_divisor(int64_t a, int64_t b) { return b ? common_divisor(b, a % b) : a; }

static int64_t number(void *const *arguments, int place) { return *(const int32_t *)arguments[place]; }

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t whole_vectors(int64_t numbers, int64_t many) { return (numbers + many - 1) / many * many; }

/* How many tiles a row of outputs takes, if a vector comes again after so many pixels. */
static int64_t tiles(int64_t wide, int64_t pixels) {
    return (wide + TILE * pixels - 1) / (TILE * pixels);
}

/* Read the arguments, for vectors of so many numbers. */
static Job job_of(void *const *arguments, int volume, int64_t many) {
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
    job.kw = kernels[3].extent, job.kh = kernels[4].extent, job.kd = volume ? kernels[5].extent : 1;
    job.multiple = out[0].extent;
    int64_t groups = out[1].extent;
    int whole = groups == 1 || (out[1].stride == job.multiple && kernels[1].stride == job.multiple);
    job.together = whole ? job.multiple * groups : job.multiple;
    job.sections = whole ? 1 : groups;
    job.pixels = 1, job.vectors = (job.together + many - 1) / many;
    if (whole && job.sx == 1 && out[2].stride == job.together) {
        int64_t pixels = many / common_divisor(many, job.together);
        int64_t vectors = pixels * job.together / many;
        if (vectors * tiles(job.wide, pixels) < 0.9 * job.vectors * tiles(job.wide, 1))
            job.pixels = pixels, job.vectors = vectors;
    }
    job.whole_periods = job.wide / job.pixels;
    job.periods = job.whole_periods + (job.wide % job.pixels > 0);
    job.strips = (job.high + job.strip - 1) / job.strip;
    return job;
}

/* The slab under tap kz of slab n of the output, or -1 for padding. */
static int64_t slab_under(const Job *job, int64_t n, int64_t kz) {
    if (!job->slabs) return n;
    return ((const int32_t *)job->slabs->host)[kz + n * job->slabs->axes[1].stride];
}

static int run(Job *job, Task task) {
    int64_t chunks = (job->out->axes[4].extent + job->chunk - 1) / job->chunk;
    return pool_run(NULL, task, 0, (int)(job->strips * chunks), (uint8_t *)job);
}

/* What Halide's pipelines are called by: for images, and for volumes. */
#define PIPELINES(numbers, level, many)                                                         \
    int channelwise_##numbers##_##level##_argv(void *const *arguments);                         \
    int channelwise_##numbers##_##level##_argv(void *const *arguments) {                        \
        Job job = job_of(arguments, 0, many);                                                   \
        return run(&job, part_##numbers##_##level);                                             \
    }                                                                                           \
    int channelwise_##numbers##_volume_##level##_argv(void *const *arguments);                  \
    int channelwise_##numbers##_volume_##level##_argv(void *const *arguments) {                 \
        Job job = job_of(arguments, 1, many);                                                   \
        return run(&job, part_##numbers##_##level);                                             \
    }

#if defined(__x86_64__)
#define Number float
#define Word int32_t
#define BYTES 64
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl")))
#define NAME(name) name##_f32_avx512
#define TAKE(from, places)                                                                      \
    _mm512_permutexvar_ps((__m512i)(places), _mm512_castps256_ps512(_mm256_loadu_ps(from)))
#define STORE(to, mask, numbers)                                                                \
    _mm512_mask_storeu_ps(to, (__mmask16)(mask), _mm512_loadu_ps(numbers))
#include "channelwise.h"
PIPELINES(f32, avx512, 16)

#define Number double
#define Word int64_t
#define BYTES 64
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl")))
#define NAME(name) name##_f64_avx512
#define TAKE(from, places)                                                                      \
    _mm512_permutexvar_pd((__m512i)(places), _mm512_castpd256_pd512(_mm256_loadu_pd(from)))
#define STORE(to, mask, numbers)                                                                \
    _mm512_mask_storeu_pd(to, (__mmask8)(mask), _mm512_loadu_pd(numbers))
#include "channelwise.h"
PIPELINES(f64, avx512, 8)

#define Number float
#define Word int32_t
#define BYTES 32
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(name) name##_f32_avx2
#define TAKE(from, places)                                                                      \
    _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(from)), (__m256i)(places))
#include "channelwise.h"
PIPELINES(f32, avx2, 8)

#define Number double
#define Word int64_t
#define BYTES 32
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(name) name##_f64_avx2
#include "channelwise.h"
PIPELINES(f64, avx2, 4)

#define Number float
#define Word int32_t
#define BYTES 16
#define TARGET
#define NAME(name) name##_f32_baseline
#include "channelwise.h"
PIPELINES(f32, baseline, 4)

#define Number double
#define Word int64_t
#define BYTES 16
#define TARGET
#define NAME(name) name##_f64_baseline
#include "channelwise.h"
PIPELINES(f64, baseline, 2)

#else
#define Number float
#define Word int32_t
#define BYTES 16
#define TARGET
#define NAME(name) name##_f32_neon
#include "channelwise.h"
PIPELINES(f32, neon, 4)

#define Number double
#define Word int64_t
#define BYTES 16
#define TARGET
#define NAME(name) name##_f64_neon
#include "channelwise.h"
PIPELINES(f64, neon, 2)
#endif
