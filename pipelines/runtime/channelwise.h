/* The part of channelwise.c that is written once for each type of numbers and level of processors: it
   includes this with Number, Word (an integer as large), BYTES of a vector, TARGET and NAME defined, and
   with TAKE and STORE, if the processor can take numbers from places, and store those of a mask. */

typedef Number NAME(Numbers) __attribute__((vector_size(BYTES)));
typedef Word NAME(Words) __attribute__((vector_size(BYTES)));

/* Of a vector of outputs: the first one, and its channel; where its kernels' numbers are among those of a
   tap; and how many channels behind the first one that of each lane comes. */
typedef struct NAME(Place) {
    NAME(Words) lanes;
    int64_t output, channel, kernel;
} NAME(Place);

/* The numbers at these places behind `from`, or, if they are `in_order`, those of a vector there. Else there
   are at most half as many: a shorter vector is seldom divided between two lines of the first cache. */
INLINE TARGET NAME(Numbers) NAME(taken)(const Number *from, NAME(Words) places, int in_order) {
    NAME(Numbers) taken;
    if (in_order)
        memcpy(&taken, from, sizeof taken);
    else
#ifdef TAKE
        taken = (NAME(Numbers))TAKE(from, places);
#else
        for (size_t l = 0; l < BYTES / sizeof(Number); l++) taken[l] = from[places[l]];
#endif
    return taken;
}

INLINE TARGET void NAME(store)(Number *to, const Number *numbers, int64_t count) {
#ifdef STORE
    STORE(to, (1 << count) - 1, numbers);
#else
    for (int64_t i = 0; i < count; i++) to[i] = numbers[i];
#endif
}

/* Fill a row of cells with `count` channels from `first` on, of row `line` of a slab, or with padding; and
   the numbers behind it that vectors read, but do not use, with 0. */
static TARGET void NAME(fill)(const Job *job, Number *cells, int64_t line, int64_t slab, int64_t first,
                              int64_t count) {
    enum { MANY = BYTES / sizeof(Number) };
    const Axis *axes = job->images->axes;
    const int32_t *before = job->before->host, *after = job->after->host;
    int64_t row = ((const int32_t *)job->rows->host)[line], c = job->channels;
    int64_t left = job->left / c, right = job->right / c, end = right + job->after->axes[0].extent / c;
    const Number padding = *(const Number *)job->padding, *pixels = NULL;
    if (slab >= 0 && row >= 0)
        pixels = (const Number *)job->images->host + row * axes[1].stride + slab * axes[2].stride;
    for (int64_t cell = 0; cell < end; cell++, cells += count) {
        int64_t at = cell < left    ? before[cell * c]
                     : cell < right ? job->first + (cell - left) * c
                                    : after[(cell - right) * c];
        if (!pixels || at < 0)
            for (int64_t i = 0; i < count; i++) cells[i] = padding;
        else if (count == c && cell == left) {
            memcpy(cells, pixels + at, (right - left) * c * sizeof *cells);
            cell = right - 1, cells += (right - left - 1) * c;
        } else {
            const Number *from = pixels + at + first;
            int64_t i = 0;
            for (; i + MANY <= count; i += MANY) memcpy(cells + i, from + i, BYTES);
            for (; i < count; i++) cells[i] = from[i];
        }
    }
    memset(cells, 0, (job->pixels - 1) * count * sizeof *cells + BYTES);
}

/* The kernels of a section, tap after tap: those of the vectors' lanes, or 0 for lanes that are empty. */
static void NAME(pack)(const Job *job, Number *packed, int64_t section, int64_t size) {
    const Axis *axes = job->kernels->axes;
    for (int64_t kz = 0; kz < job->kd; kz++)
        for (int64_t ky = 0; ky < job->kh; ky++)
            for (int64_t kx = 0; kx < job->kw; kx++, packed += size) {
                const Number *from = (const Number *)job->kernels->host + section * axes[1].stride;
                from += kx * axes[3].stride + ky * axes[4].stride;
                if (kz) from += kz * axes[5].stride;
                for (int64_t i = 0; i < size; i += job->together) {
                    int64_t count = size - i < job->together ? size - i : job->together;
                    if (i && job->pixels == 1)
                        memset(packed + i, 0, count * sizeof *packed);
                    else
                        memcpy(packed + i, from, count * sizeof *packed);
                }
            }
}

/* The outputs of some vectors of a row, from the rows of cells under the taps, which are each of so
   many numbers. */
INLINE TARGET void NAME(row)(const Job *job, int in_order, Number *out, const Number *const *cells,
                             int64_t channels, const Number *packed, int64_t size,
                             const NAME(Place) * places, int64_t vectors) {
    enum { MANY = BYTES / sizeof(Number) };
    int64_t period = job->pixels * job->together, taps = job->kd * job->kh * job->kw;
    int64_t apart = job->pixels * job->out->axes[2].stride;
    int64_t step = job->pixels * job->sx * channels;
    int64_t count = job->periods, whole = job->whole_periods, at[TILE];
    for (int64_t t = 0; t < TILE; t++) at[t] = t * step;
    for (int64_t p = 0; p < count; p += TILE) {
        if (p + TILE > count) /* Beyond the last one this comes again. */
            for (int64_t t = 0; t < TILE; t++) at[t] = (p + t < count ? t : count - 1 - p) * step;
        for (int64_t v = 0; v < vectors; v++) {
            NAME(Numbers) sums[TILE] = {{0}}, weight;
            const Number *kernel = packed + places[v].kernel;
            int64_t begin = p * step + places[v].channel - places->channel;
            for (int64_t tap = 0; tap < taps; tap++, kernel += size) {
                const Number *under = cells[tap] + begin;
                memcpy(&weight, kernel, sizeof weight);
                UNROLL for (int t = 0; t < TILE; t++)
                    sums[t] += weight * NAME(taken)(under + at[t], places[v].lanes, in_order);
            }
            int64_t first = places[v].output, lanes = least(period - first, MANY);
            Number *to = out + p * apart + first;
            if (p + TILE <= whole && lanes == MANY)
                UNROLL for (int t = 0; t < TILE; t++) memcpy(to + t * apart, &sums[t], sizeof sums[t]);
            else { /* Some are not of this row, or in some lanes. */
                Number some[TILE][MANY];
                UNROLL for (int t = 0; t < TILE; t++) memcpy(some[t], &sums[t], sizeof sums[t]);
                int64_t end = job->wide * job->together - p * period - first;
                for (int64_t t = 0; t < TILE && p + t < count && end > 0; t++, end -= period)
                    NAME(store)(to + t * apart, some[t], least(lanes, end));
            }
        }
    }
}

static TARGET void NAME(row_in_order)(const Job *job, Number *out, const Number *const *cells,
                                      int64_t channels, const Number *packed, int64_t size,
                                      const NAME(Place) * places, int64_t vectors) {
    NAME(row)(job, 1, out, cells, channels, packed, size, places, vectors);
}

static TARGET void NAME(row_of_taken)(const Job *job, Number *out, const Number *const *cells,
                                      int64_t channels, const Number *packed, int64_t size,
                                      const NAME(Place) * places, int64_t vectors) {
    NAME(row)(job, 0, out, cells, channels, packed, size, places, vectors);
}

/* A task: a strip of rows of a chunk of slabs. */
static int NAME(part)(void *context, int number, uint8_t *closure) {
    (void)context;
    enum { MANY = BYTES / sizeof(Number) };
    const Job *job = (const Job *)closure;
    const Axis *axes = job->out->axes;
    int64_t y_begin = number % job->strips * job->strip, n_begin = number / job->strips * job->chunk;
    int64_t y_end = least(y_begin + job->strip, job->high);
    int64_t n_end = least(n_begin + job->chunk, axes[4].extent);
    int64_t block = job->pixels > 1 ? job->vectors : least(BLOCK, job->vectors);
    int64_t most = least(job->channels, (block * MANY - 1) / job->multiple + 2); /* channels of a block */
    int64_t reach = (job->kh - 1) * job->dy + 1, taps = job->kd * job->kh * job->kw;
    int64_t room = (job->right + job->after->axes[0].extent) / job->channels + job->pixels - 1;
    room = whole_vectors(room * most + MANY, MANY);
    int64_t size = job->pixels > 1 ? job->together + MANY - 1 : job->vectors * MANY;
    /* Rows of kernels are not so far apart that those of many taps would have the same place in the first
       cache. */
    size = whole_vectors(size, MANY) + MANY;
    char *memory = malloc(63 + job->vectors * sizeof(NAME(Place)) + taps * sizeof(Number *) +
                          (job->kd * reach * room + taps * size) * sizeof(Number) +
                          job->kd * reach * 2 * sizeof(int64_t));
    if (!memory) return -1;
    NAME(Place) *places = (NAME(Place) *)(((uintptr_t)memory + 63) / 64 * 64);
    Number *cells = (Number *)(places + job->vectors), *packed = cells + job->kd * reach * room;
    const Number **under = (const Number **)(packed + taps * size);
    int64_t *kept = (int64_t *)(under + taps); /* of each row of cells: its line, and its slab */
    for (int64_t v = 0; v < job->vectors; v++) {
        int64_t first = v * MANY, channel = first / job->multiple;
        places[v].output = first, places[v].channel = channel, places[v].kernel = first % job->together;
        for (int64_t l = 0; l < MANY; l++)
            places[v].lanes[l] = (Word)((first + l) / job->multiple - channel);
    }
    for (int64_t section = 0; section < job->sections; section++) {
        NAME(pack)(job, packed, section, size);
        for (int64_t v = 0; v < job->vectors; v += block) {
            int64_t vectors = least(block, job->vectors - v), channel = section + places[v].channel;
            int64_t end = section + (least((v + vectors) * MANY, job->together) - 1) / job->multiple + 1;
            int64_t count = end - channel;
            for (int64_t i = 0; i < job->kd * reach; i++) kept[2 * i] = -1;
            for (int64_t n = n_begin; n < n_end; n++)
                for (int64_t y = y_begin; y < y_end; y++) {
                    const Number **tap = under;
                    for (int64_t kz = 0; kz < job->kd; kz++) {
                        int64_t slab = slab_under(job, n, kz), line = y * job->sy, at = line % reach;
                        for (int64_t ky = 0; ky < job->kh; ky++, line += job->dy, at += job->dy) {
                            if (at >= reach) at -= reach;
                            int64_t slot = kz * reach + at;
                            for (int64_t kx = 0; kx < job->kw; kx++)
                                *tap++ = cells + slot * room + kx * job->dx * count;
                            if (kept[2 * slot] == line && kept[2 * slot + 1] == slab) continue;
                            NAME(fill)(job, cells + slot * room, line, slab, channel, count);
                            kept[2 * slot] = line, kept[2 * slot + 1] = slab;
                        }
                    }
                    Number *out = (Number *)job->out->host + section * axes[1].stride;
                    out += y * axes[3].stride + n * axes[4].stride;
                    (job->multiple == 1 ? NAME(row_in_order) : NAME(row_of_taken))(
                        job, out, under, count, packed, size, places + v, vectors);
                }
        }
    }
    free(memory);
    return 0;
}

#undef Number
#undef Word
#undef BYTES
#undef TARGET
#undef NAME
#undef TAKE
#undef STORE
