/* The part of grouped.c that is written once for each type of numbers and level of processors: it includes
   this with Number, Word (an integer as large), BYTES of a vector, TARGET and NAME defined; with TAKE and
   FEW, if the processor can take numbers from places in a vector, or in half of one; and with STORE, if it
   can store those of a mask. */

typedef Number NAME(Numbers) __attribute__((vector_size(BYTES)));
typedef Word NAME(Words) __attribute__((vector_size(BYTES)));

/* Of a vector of outputs: the first one; where it finds its first number in a pixel's cells, and how far
   behind that each lane finds its own; and where its kernels' numbers are among those of a term. */
typedef struct NAME(Place) {
    NAME(Words) lanes;
    int64_t output, cell, kernel;
} NAME(Place);

/* Vectors of some rows of outputs, and what they are computed from: for each term, where its cells begin,
   whose pixels have so many `channels`, and whose rows are so many numbers `apart`; and the kernels' numbers,
   so many for each term. */
typedef struct NAME(Rows) {
    Number *out;
    const Number *const *cells, *kernels;
    int64_t count, channels, apart, of_term, vectors;
    const NAME(Place) * places;
} NAME(Rows);

/* The numbers at these places behind `from`. */
INLINE TARGET NAME(Numbers) NAME(taken)(const Number *from, NAME(Words) places, int how) {
    NAME(Numbers) taken;
    if (how == IN_ORDER) {
        memcpy(&taken, from, sizeof taken);
        return taken;
    }
#ifdef TAKE
    /* A shorter vector is seldom divided between two lines of the first cache. */
    if (how == NEAR) return (NAME(Numbers))TAKE(FEW(from), places);
    if (how == WITHIN) {
        memcpy(&taken, from, sizeof taken);
        return (NAME(Numbers))TAKE(taken, places);
    }
#endif
    for (size_t l = 0; l < BYTES / sizeof(Number); l++) taken[l] = from[places[l]];
    return taken;
}

INLINE TARGET void NAME(store)(Number *to, const Number *numbers, int64_t count) {
#ifdef STORE
    STORE(to, (1 << count) - 1, numbers);
#else
    for (int64_t i = 0; i < count; i++) to[i] = numbers[i];
#endif
}

/* Copy so many numbers, or bytes, of the images. */
INLINE TARGET void NAME(copy)(Number *to, const void *from, int64_t count, int bytes) {
    enum { MANY = BYTES / sizeof(Number) };
    typedef uint8_t Bytes __attribute__((vector_size(MANY)));
    int64_t i = 0;
    for (; i + MANY <= count; i += MANY) {
        NAME(Numbers) numbers;
        Bytes eights;
        if (bytes) {
            memcpy(&eights, (const uint8_t *)from + i, MANY);
            numbers = __builtin_convertvector(eights, NAME(Numbers));
        } else
            memcpy(&numbers, (const Number *)from + i, BYTES);
        memcpy(to + i, &numbers, BYTES);
    }
    for (; i < count; i++) to[i] = bytes ? ((const uint8_t *)from)[i] : ((const Number *)from)[i];
}

/* Fill a row of cells with `count` channels from `first` on, of row `line` of a slab, or with padding; and
   the numbers behind it that vectors read, but do not use, with 0. */
static TARGET void NAME(fill)(const Job *job, Number *cells, int64_t line, int64_t slab, int64_t first,
                              int64_t count) {
    const Axis *axes = job->images->axes;
    const int32_t *before = job->before->host, *after = job->after->host;
    int64_t row = ((const int32_t *)job->rows->host)[line], c = job->channels;
    int64_t left = job->left / c, right = job->right / c, end = right + job->after->axes[0].extent / c;
    int bytes = job->images->bits == 8;
    int64_t size = bytes ? 1 : sizeof(Number), pixels = row * axes[1].stride + slab * axes[2].stride;
    const Number padding = *(const Number *)job->padding;
    for (int64_t cell = 0; cell < end; cell++, cells += count) {
        int64_t at = cell < left    ? before[cell * c]
                     : cell < right ? job->first + (cell - left) * c
                                    : after[(cell - right) * c];
        if (slab < 0 || row < 0 || at < 0) {
            for (int64_t i = 0; i < count; i++) cells[i] = padding;
            continue;
        }
        const char *from = (const char *)job->images->host + (pixels + at + first) * size;
        int64_t all = 1; /* pixels that lie side by side */
        if (count == c && cell == left && left < right) all = right - left;
        if (bytes)
            NAME(copy)(cells, from, all * count, 1);
        else
            NAME(copy)(cells, from, all * count, 0);
        cell += all - 1, cells += (all - 1) * count;
    }
    memset(cells, 0, (job->pixels - 1) * job->sx * count * sizeof *cells + BYTES);
}

/* The kernels of a section, term after term: those of the vectors' lanes, or 0 for lanes that are empty. */
static void NAME(pack)(const Job *job, Number *packed, int64_t section, int64_t of_term) {
    const Axis *axes = job->kernels->axes;
    const Number *kernels = (const Number *)job->kernels->host + section * axes[1].stride;
    for (int64_t kz = 0; kz < job->kd; kz++)
        for (int64_t ky = 0; ky < job->kh; ky++)
            for (int64_t kx = 0; kx < job->kw; kx++)
                for (int64_t c = 0; c < job->depth; c++, packed += of_term) {
                    const Number *from = kernels + c * axes[2].stride + kx * axes[3].stride;
                    from += ky * axes[4].stride;
                    if (kz) from += kz * axes[5].stride;
                    for (int64_t i = 0; i < of_term; i += job->together) {
                        int64_t count = least(of_term - i, job->together);
                        if (i && job->pixels == 1)
                            memset(packed + i, 0, count * sizeof *packed);
                        else
                            memcpy(packed + i, from, count * sizeof *packed);
                    }
                }
}

/* Compute these outputs, tile after tile. */
INLINE TARGET void NAME(compute)(const Job *job, const NAME(Rows) * rows, int how, int blocks) {
    enum { MANY = BYTES / sizeof(Number) };
    const NAME(Place) *place = rows->places;
    int64_t terms = job->kd * job->kh * job->kw * job->depth, of_line = job->kw * job->depth;
    int64_t period = job->pixels * job->together, apart = job->pixels * job->out->axes[2].stride;
    int64_t step = job->pixels * job->sx * rows->channels;
    int64_t of_row = job->out->axes[3].stride;
    int64_t from[TILE], to[TILE]; /* behind the first: where cells and outputs of a tile's vectors lie */
    for (int64_t row = 0, p = 0, in_row = 0; row < rows->count;) {
        int64_t begin = row * rows->apart + p * step, begin_out = row * of_row + p * apart;
        int64_t count = TILE, first_p = p, whole = p + TILE <= job->whole_periods;
        if (p + TILE <= job->periods) {
            for (int64_t t = 0; !in_row && t < TILE; t++) from[t] = t * step, to[t] = t * apart;
            in_row = 1, p += TILE;
            if (p == job->periods) p = 0, row++;
        } else { /* Behind the last vector this comes again. */
            in_row = 0, count = least(TILE, (rows->count - row) * job->periods - p);
            for (int64_t t = 0; t < TILE; t++) {
                from[t] = t < count ? row * rows->apart + p * step - begin : from[count - 1];
                to[t] = row * of_row + p * apart - begin_out;
                if (t < count && ++p == job->periods) p = 0, row++;
            }
        }
        for (int64_t v = 0; v < rows->vectors; v++) {
            NAME(Numbers) sums[TILE] = {{0}}, totals[TILE] = {{0}}, weights;
            const Number *kernel = rows->kernels + place[v].kernel;
            int64_t cell = begin + place[v].cell - place->cell;
            for (int64_t term = 0, end = 0, line = 0; term < terms;) {
                if (term == line) line += of_line; /* the end of the terms in a line of the window */
                end = blocks ? least(end + job->block, line) : terms;
                for (; term < end; term++, kernel += rows->of_term) {
                    const Number *under = rows->cells[term] + cell;
                    memcpy(&weights, kernel, sizeof weights);
                    UNROLL for (int t = 0; t < TILE; t++)
                        sums[t] += weights * NAME(taken)(under + from[t], place[v].lanes, how);
                }
                if (blocks)
                    UNROLL for (int t = 0; t < TILE; t++) {
                        totals[t] += sums[t];
                        sums[t] = term < terms ? (NAME(Numbers)){0} : totals[t];
                    }
            }
            int64_t first = place[v].output, lanes = least(period - first, MANY);
            Number *out = rows->out + begin_out + first, some[TILE][MANY];
            if (whole && lanes == MANY) {
                UNROLL for (int t = 0; t < TILE; t++) memcpy(out + to[t], &sums[t], BYTES);
                continue;
            }
            UNROLL for (int t = 0; t < TILE; t++) memcpy(some[t], &sums[t], BYTES);
            for (int64_t t = 0, at = first_p; t < count; t++, at = at + 1 < job->periods ? at + 1 : 0) {
                int64_t end = job->wide * job->together - at * period - first;
                if (end > 0) NAME(store)(out + to[t], some[t], least(lanes, end));
            }
        }
    }
}

#define COMPUTE(name, how, blocks)                                                               \
    static TARGET void NAME(name)(const Job *job, const NAME(Rows) * rows) {                     \
        NAME(compute)(job, rows, how, blocks);                                                   \
    }
COMPUTE(in_order, IN_ORDER, 0)
COMPUTE(near, NEAR, 0)
COMPUTE(within, WITHIN, 0)
COMPUTE(anywhere, ANYWHERE, 0)
COMPUTE(in_order_in_blocks, IN_ORDER, 1)
COMPUTE(near_in_blocks, NEAR, 1)
COMPUTE(within_in_blocks, WITHIN, 1)
COMPUTE(anywhere_in_blocks, ANYWHERE, 1)
#undef COMPUTE

/* Find out where vectors have their numbers; returns how these are taken. */
static int NAME(find)(const Job *job, NAME(Place) * places) {
    enum { MANY = BYTES / sizeof(Number) };
    int in_order = 1;
    int64_t most = 0;
    for (int64_t v = 0; v < job->vectors; v++) {
        int64_t first = v * MANY, cell = place_of(job, first);
        places[v].output = first, places[v].cell = cell, places[v].kernel = first % job->together;
        for (int64_t l = 0; l < MANY; l++) {
            int64_t output = least(first + l, job->pixels * job->together - 1); /* or the lane is empty */
            int64_t behind = place_of(job, output) - cell;
            places[v].lanes[l] = (Word)behind;
            in_order = in_order && (behind == l || output < first + l);
            most = behind > most ? behind : most;
        }
    }
    return in_order ? IN_ORDER : most < MANY / 2 ? NEAR : most < MANY ? WITHIN : ANYWHERE;
}

/* A task: a strip of rows of a chunk of slabs. */
static int NAME(part)(void *context, int number, uint8_t *closure) {
    (void)context;
    enum { MANY = BYTES / sizeof(Number) };
    static void (*const compute[2][4])(const Job *, const NAME(Rows) *) = {
        {NAME(in_order), NAME(near), NAME(within), NAME(anywhere)},
        {NAME(in_order_in_blocks), NAME(near_in_blocks), NAME(within_in_blocks),
         NAME(anywhere_in_blocks)}};
    const Job *job = (const Job *)closure;
    const Axis *axes = job->out->axes;
    int64_t y_begin = number % job->strips * job->strip, n_begin = number / job->strips * job->chunk;
    int64_t y_end = least(y_begin + job->strip, job->high);
    int64_t n_end = least(n_begin + job->chunk, axes[4].extent);
    int64_t together = job->pixels > 1 ? job->vectors : least(TOGETHER, job->vectors);
    /* The most channels that these vectors need. */
    int64_t most = least(job->channels, ((together * MANY - 1) / job->of_group + 2) * job->depth);
    int64_t reach = (job->kh - 1) * job->dy + 1 + (job->at_once - 1) * job->sy, lines = job->kd * reach;
    int64_t terms = job->kd * job->kh * job->kw * job->depth;
    int64_t room = (job->right + job->after->axes[0].extent) / job->channels;
    room = ceiling((room + (job->pixels - 1) * job->sx) * most + MANY, MANY) * MANY;
    int64_t of_term = job->pixels > 1 ? job->together + MANY - 1 : job->vectors * MANY;
    /* Those of many terms must not all have the same place in the first cache. */
    of_term = ceiling(of_term, MANY) * MANY + MANY;
    /* Vectors begin where lines of the caches do, if the channels fill vectors. */
    char *memory = malloc(63 + job->vectors * sizeof(NAME(Place)) + terms * sizeof(Number *) +
                          (lines * room + terms * of_term) * sizeof(Number) +
                          lines * 2 * sizeof(int64_t));
    if (!memory) return -1;
    NAME(Place) *places = (NAME(Place) *)(((uintptr_t)memory + 63) / 64 * 64);
    Number *cells = (Number *)(places + job->vectors), *packed = cells + lines * room;
    const Number **under = (const Number **)(packed + terms * of_term);
    int64_t *kept = (int64_t *)(under + terms); /* of each line of cells: its row, and its slab */
    int how = NAME(find)(job, places);
    for (int64_t section = 0; section < job->sections; section++) {
        NAME(pack)(job, packed, section, of_term);
        for (int64_t v = 0; v < job->vectors; v += together) {
            int64_t vectors = least(together, job->vectors - v), first = section * job->depth;
            int64_t groups = (least((v + vectors) * MANY, job->together) - 1) / job->of_group + 1;
            int64_t count = groups * job->depth - places[v].cell;
            first += places[v].cell;
            for (int64_t i = 0; i < lines; i++) kept[2 * i] = -1;
            for (int64_t n = n_begin; n < n_end; n++)
                for (int64_t y = y_begin; y < y_end; y += job->at_once) {
                    int64_t rows = least(job->at_once, y_end - y);
                    /* The lines of cells take turns, if they are those of one row. */
                    int64_t turn = job->at_once > 1 ? 0 : y * job->sy % reach;
                    const Number **term = under;
                    for (int64_t kz = 0; kz < job->kd; kz++) {
                        int64_t slab = slab_under(job, n, kz);
                        for (int64_t ky = 0; ky < job->kh; ky++)
                            for (int64_t r = 0; r < rows; r++) {
                                int64_t row = (y + r) * job->sy + ky * job->dy;
                                int64_t at = turn + row - y * job->sy;
                                int64_t line = kz * reach + (at < reach ? at : at - reach);
                                const Number *begin = cells + line * room;
                                for (int64_t kx = 0; !r && kx < job->kw; kx++, begin += job->dx * count)
                                    for (int64_t c = 0; c < job->depth; c++) *term++ = begin + c;
                                if (kept[2 * line] == row && kept[2 * line + 1] == slab) continue;
                                NAME(fill)(job, cells + line * room, row, slab, first, count);
                                kept[2 * line] = row, kept[2 * line + 1] = slab;
                            }
                    }
                    Number *out = (Number *)job->out->host + section * axes[1].stride;
                    out += y * axes[3].stride + n * axes[4].stride;
                    NAME(Rows) these = {.out = out, .cells = under, .kernels = packed, .count = rows,
                                        .channels = count, .apart = job->sy * room, .of_term = of_term,
                                        .vectors = vectors, .places = places + v};
                    compute[job->block > 0][how](job, &these);
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
#undef FEW
#undef STORE
