/* The part of few.c that is written once for each type of numbers and size of vectors: it includes this
   with Number, Word (an integer as large), BYTES, TARGET and NAME defined. */

typedef Number NAME(Numbers) __attribute__((vector_size(BYTES)));
typedef Word NAME(Words) __attribute__((vector_size(BYTES)));

/* The row of pixels that a row of an image's cells takes its numbers from, or NULL for padding. */
static const Number *NAME(pixels_of)(const Job *job, int64_t image, int64_t line) {
    int64_t row = job->rows[line];
    if (row < 0) return NULL;
    return (const Number *)job->images + image * job->images_apart[0] + row * job->images_apart[1];
}

/* Put the channels of a row of pixels one after another: of each the first of every `stride` cells, then
   the second ones, and so on, so that windows slide over neighbours. Behind the last there are 0s. */
static void NAME(lay_out)(Number *row, const Number *pixels, const int32_t *places, int64_t channels,
                          int64_t cells, int64_t stride, int64_t room, Number padding) {
    for (int64_t c = 0; c < channels; c++)
        for (int64_t first = 0; first < stride; first++, row += room) {
            const Number *from = pixels ? pixels + c : pixels;
            int64_t i = 0, cell = first;
            if (!pixels)
                for (; cell < cells; i++, cell += stride) row[i] = padding;
            else if (places)
                for (; cell < cells; i++, cell += stride)
                    row[i] = places[cell] < 0 ? padding : from[places[cell] * channels];
            else
                for (; cell < cells; i++, cell += stride) row[i] = from[cell * channels];
            for (; i < room; i++) row[i] = 0;
        }
}

/* Add the products of some rows' outputs, of so many kernels, by the cells under so many taps to the sums
   of these. The kernels' sums, their outputs and the rows' outputs are so many vectors or numbers apart. */
#define PRODUCTS(taps, kernels)                                                                  \
    static TARGET void NAME(products_##taps##_##kernels)(                                        \
        NAME(Numbers) * sums, int64_t sums_apart, const Number *outputs, int64_t apart,          \
        int64_t rows_apart, const Number *const *cells, int64_t rows, const int64_t *at,         \
        int64_t count) {                                                                         \
        enum { MANY = BYTES / sizeof(Number) };                                                  \
        NAME(Numbers) sum[kernels][taps], x, y[kernels];                                         \
        NAME(Words) mask;                                                                        \
        for (int l = 0; l < MANY; l++) mask[l] = l < count % MANY ? -1 : 0;                      \
        UNROLL for (int k = 0; k < kernels; k++)                                                 \
            UNROLL for (int t = 0; t < taps; t++) sum[k][t] = sums[k * sums_apart + t];          \
        for (int64_t r = 0; r < rows; r++, outputs += rows_apart) {                              \
            const Number *under[taps];                                                           \
            UNROLL for (int t = 0; t < taps; t++) under[t] = cells[r] + at[t];                   \
            int64_t i = 0;                                                                       \
            for (; i + MANY <= count; i += MANY) {                                               \
                UNROLL for (int k = 0; k < kernels; k++)                                         \
                    memcpy(&y[k], outputs + k * apart + i, sizeof y[k]);                         \
                UNROLL for (int t = 0; t < taps; t++) {                                          \
                    memcpy(&x, under[t] + i, sizeof x);                                          \
                    UNROLL for (int k = 0; k < kernels; k++) sum[k][t] += x * y[k];              \
                }                                                                                \
            }                                                                                    \
            if (i < count) { /* The cells behind these may be inf, which times 0 would be NaN. */ \
                UNROLL for (int k = 0; k < kernels; k++)                                         \
                    memcpy(&y[k], outputs + k * apart + i, sizeof y[k]);                         \
                UNROLL for (int t = 0; t < taps; t++) {                                          \
                    memcpy(&x, under[t] + i, sizeof x);                                          \
                    x = (NAME(Numbers))((NAME(Words))x & mask);                                  \
                    UNROLL for (int k = 0; k < kernels; k++) sum[k][t] += x * y[k];              \
                }                                                                                \
            }                                                                                    \
        }                                                                                        \
        UNROLL for (int k = 0; k < kernels; k++)                                                 \
            UNROLL for (int t = 0; t < taps; t++) sums[k * sums_apart + t] = sum[k][t];          \
    }
PRODUCTS(1, 1)
PRODUCTS(2, 1)
PRODUCTS(3, 1)
PRODUCTS(4, 1)
PRODUCTS(5, 1)
PRODUCTS(6, 1)
PRODUCTS(1, 2)
PRODUCTS(2, 2)
PRODUCTS(3, 2)
PRODUCTS(4, 2)
PRODUCTS(5, 2)
PRODUCTS(6, 2)
#undef PRODUCTS

/* Add a number to a sum. What is lost when floats are added up in doubles is too little to matter. */
static inline void NAME(add)(Sum *total, Number number) {
    if (sizeof(Number) == sizeof(double))
        add(total, number);
    else
        total->sum += number;
}

/* Add the sums of vectors to those of doubles, and begin new ones. */
static void NAME(flush)(NAME(Numbers) * sums, int64_t count, Sum *totals) {
    enum { MANY = BYTES / sizeof(Number) };
    for (int64_t i = 0; i < count; i++) {
        double sum = 0;
        for (int l = 0; l < MANY; l++) sum += sums[i][l];
        add(&totals[i], sum);
        sums[i] = (NAME(Numbers)){0};
    }
}

static int NAME(rows_part)(void *context, int number, uint8_t *closure) {
    (void)context;
    enum { MANY = BYTES / sizeof(Number), MOST = CHAIN * MANY, TAPS = 6 };
    static void (*const products[2][TAPS])(NAME(Numbers) *, int64_t, const Number *, int64_t, int64_t,
                                           const Number *const *, int64_t, const int64_t *, int64_t) = {
        {NAME(products_1_1), NAME(products_2_1), NAME(products_3_1), NAME(products_4_1),
         NAME(products_5_1), NAME(products_6_1)},
        {NAME(products_1_2), NAME(products_2_2), NAME(products_3_2), NAME(products_4_2),
         NAME(products_5_2), NAME(products_6_2)}};
    const Job *job = (const Job *)closure;
    int64_t c = job->channels * job->groups, n = job->kernels * job->groups, kw = job->kw;
    int64_t begin = number * job->rows_of_task, end = begin + job->rows_of_task;
    end = end < job->batch * job->high ? end : job->batch * job->high;
    int64_t outputs = job->wide < MOST ? job->wide : MOST, span = (kw - 1) * job->dx + 1;
    int64_t room = (outputs - 1 + MANY) + span / job->sx + 2, row_size = c * job->sx * room;
    int64_t slots = rows_kept(job, row_size * sizeof(Number)), most = (slots - 1) / job->sy + 1;
    most = most < ROWS ? most : ROWS;
    int64_t of_y = outputs + MANY, count = job->kh * job->channels * n * kw;
    char *memory = malloc((slots + kw) * sizeof(int64_t) + 64 + count * BYTES +
                          (slots * row_size + most * n * of_y) * sizeof(Number));
    if (!memory) return -1;
    int64_t *kept = (int64_t *)memory, *at = kept + slots; /* where a tap's first cell is laid */
    NAME(Numbers) *sums = (NAME(Numbers) *)(((uintptr_t)(at + kw) + 63) / 64 * 64);
    Number *cells = (Number *)(sums + count), *back = cells + slots * row_size;
    for (int64_t i = 0; i < kw; i++) at[i] = i * job->dx % job->sx * room + i * job->dx / job->sx;
    memset(sums, 0, count * BYTES);
    int64_t steps = 0, parts = (kw + TAPS - 1) / TAPS, together = (kw + parts - 1) / parts;
    for (int64_t first = 0; first < job->wide; first += outputs) {
        int64_t some = job->wide - first < outputs ? job->wide - first : outputs;
        int64_t vectors = (some + MANY - 1) / MANY;
        for (int64_t i = 0; i < slots; i++) kept[i] = -1;
        for (int64_t row = begin, rows; row < end; row += rows) {
            int64_t image = row / job->high, y = row % job->high;
            const Number *from = (const Number *)job->outputs + image * job->outputs_apart[0];
            rows = (CHAIN - steps) / vectors; /* of an image, whose products are added up at once */
            rows = rows < 1 ? 1 : rows < most ? rows : most;
            rows = rows < job->high - y ? rows : job->high - y;
            rows = rows < end - row ? rows : end - row;
            for (int64_t r = 0; r < rows; r++)
                NAME(lay_out)(back + r * n * of_y, from + (y + r) * job->outputs_apart[1] + first * n,
                              NULL, n, some, 1, of_y, 0);
            NAME(Numbers) *sum = sums;
            for (int64_t j = 0; j < job->kh; j++) {
                const Number *laid[ROWS], *under[ROWS];
                for (int64_t r = 0; r < rows; r++) {
                    int64_t line = (y + r) * job->sy + j * job->dy, slot = line % slots;
                    int64_t of_row = image * job->lines + line;
                    laid[r] = cells + slot * row_size;
                    if (kept[slot] == of_row) continue;
                    NAME(lay_out)(cells + slot * row_size, NAME(pixels_of)(job, image, line),
                                  job->columns + first * job->sx, c, (some - 1) * job->sx + span,
                                  job->sx, room, (Number)job->padding);
                    kept[slot] = of_row;
                }
                for (int64_t i = 0; i < job->channels; i++)
                    for (int64_t o = 0, pair; o < n; o += pair, sum += pair * kw) {
                        int64_t channel = o / job->kernels * job->channels + i;
                        pair = o % job->kernels + 1 < job->kernels ? 2 : 1; /* of one group */
                        for (int64_t r = 0; r < rows; r++)
                            under[r] = laid[r] + channel * job->sx * room;
                        for (int64_t tap = 0, taps; tap < kw; tap += taps) {
                            taps = kw - tap < together ? kw - tap : together;
                            products[pair - 1][taps - 1](sum + tap, kw, back + o * of_y, of_y, n * of_y,
                                                         under, rows, at + tap, some);
                        }
                    }
            }
            steps += rows * vectors;
            if (steps >= CHAIN || row + rows == end) {
                NAME(flush)(sums, count, job->totals + number * count);
                steps = 0;
            }
        }
    }
    free(memory);
    return 0;
}

/* ------------------------------------------------------------------ vectors along the kernels */

/* Add the products of a row's outputs, of some vectors of kernels, by as many numbers under the window as
   there are `taps`. `apart` is how many vectors lie between the sums of two of these. */
#define ALONG(taps, vectors)                                                                     \
    static TARGET void NAME(along_##taps##_##vectors)(                                           \
        NAME(Numbers) * sums, int64_t apart, const Number *outputs, int64_t of_output,           \
        const Number *cells, const int64_t *at, int64_t step, int64_t count) {                   \
        enum { MANY = BYTES / sizeof(Number) };                                                  \
        NAME(Numbers) sum[taps][vectors] = {{{0}}}, y[vectors];                                  \
        const Number *under[taps];                                                               \
        UNROLL for (int t = 0; t < taps; t++) under[t] = cells + at[t];                          \
        for (int64_t i = 0; i < count; i++, outputs += of_output) {                              \
            UNROLL for (int v = 0; v < vectors; v++)                                             \
                memcpy(&y[v], outputs + v * MANY, sizeof y[v]);                                  \
            UNROLL for (int t = 0; t < taps; t++)                                                \
                UNROLL for (int v = 0; v < vectors; v++) sum[t][v] += under[t][i * step] * y[v]; \
        }                                                                                        \
        UNROLL for (int t = 0; t < taps; t++)                                                    \
            UNROLL for (int v = 0; v < vectors; v++) sums[t * apart + v] += sum[t][v];           \
    }
ALONG(1, 1)
ALONG(2, 1)
ALONG(3, 1)
ALONG(4, 1)
ALONG(5, 1)
ALONG(6, 1)
ALONG(7, 1)
ALONG(8, 1)
ALONG(9, 1)
ALONG(10, 1)
ALONG(11, 1)
ALONG(12, 1)
ALONG(1, 2)
ALONG(2, 2)
ALONG(3, 2)
ALONG(4, 2)
ALONG(5, 2)
ALONG(6, 2)
ALONG(7, 2)
ALONG(8, 2)
ALONG(9, 2)
ALONG(10, 2)
ALONG(11, 2)
ALONG(12, 2)
#undef ALONG

/* Put the numbers of a row of cells one after another, pixels that are neighbours at once. */
static void NAME(copy)(Number *row, const Number *pixels, const int32_t *places, int64_t channels,
                       int64_t cells, Number padding) {
    for (int64_t i = 0, next; i < cells; i = next) {
        next = i + 1;
        if (pixels && places[i] >= 0) {
            while (next < cells && places[next] == places[next - 1] + 1) next++;
            memcpy(row + i * channels, pixels + places[i] * channels, (next - i) * channels * sizeof *row);
        } else
            for (int64_t c = 0; c < channels; c++) row[i * channels + c] = padding;
    }
}

static int NAME(along_part)(void *context, int number, uint8_t *closure) {
    (void)context;
    /* As many as there are registers for their sums: 32, or 16. */
    enum { MANY = BYTES / sizeof(Number), TAPS = BYTES == 64 ? 12 : 6 };
    static void (*const along[2][12])(NAME(Numbers) *, int64_t, const Number *, int64_t,
                                      const Number *, const int64_t *, int64_t, int64_t) = {
        {NAME(along_1_1), NAME(along_2_1), NAME(along_3_1), NAME(along_4_1), NAME(along_5_1),
         NAME(along_6_1), NAME(along_7_1), NAME(along_8_1), NAME(along_9_1), NAME(along_10_1),
         NAME(along_11_1), NAME(along_12_1)},
        {NAME(along_1_2), NAME(along_2_2), NAME(along_3_2), NAME(along_4_2), NAME(along_5_2),
         NAME(along_6_2), NAME(along_7_2), NAME(along_8_2), NAME(along_9_2), NAME(along_10_2),
         NAME(along_11_2), NAME(along_12_2)}};
    const Job *job = (const Job *)closure;
    int64_t c = job->channels, n = job->kernels, taps = job->kw * c, vectors = (n + MANY - 1) / MANY;
    int64_t begin = number * job->rows_of_task, end = begin + job->rows_of_task;
    end = end < job->batch * job->high ? end : job->batch * job->high;
    int64_t outputs = job->wide < CHAIN ? job->wide : CHAIN, span = (job->kw - 1) * job->dx + 1;
    int64_t row_size = ((outputs - 1) * job->sx + span) * c;
    /* Two vectors of a row's outputs lie together, because numbers far apart share places in caches. */
    int packed = n % (2 * MANY) || (vectors > 2 && job->kh * taps >= 16);
    int64_t of_output = packed ? 2 * MANY : n;
    int64_t slots = rows_kept(job, row_size * sizeof(Number));
    int64_t count = job->kh * taps * vectors, of_back = packed ? (vectors + 1) / 2 * outputs * of_output : 0;
    char *memory = malloc((slots + taps) * sizeof(int64_t) + 64 + count * BYTES +
                          (slots * row_size + of_back) * sizeof(Number));
    if (!memory) return -1;
    int64_t *kept = (int64_t *)memory, *at = kept + slots;
    NAME(Numbers) *sums = (NAME(Numbers) *)(((uintptr_t)(at + taps) + 63) / 64 * 64);
    Number *cells = (Number *)(sums + count), *copied = cells + slots * row_size;
    for (int64_t i = 0; i < taps; i++) at[i] = i / c * job->dx * c + i % c;
    memset(sums, 0, count * BYTES);
    int64_t steps = 0, parts = (taps + TAPS - 1) / TAPS, together = (taps + parts - 1) / parts;
    for (int64_t first = 0; first < job->wide; first += outputs) {
        int64_t some = job->wide - first < outputs ? job->wide - first : outputs;
        for (int64_t i = 0; i < slots; i++) kept[i] = -1;
        for (int64_t row = begin; row < end; row++) {
            int64_t image = row / job->high, y = row % job->high;
            const Number *back = (const Number *)job->outputs + image * job->outputs_apart[0];
            back += y * job->outputs_apart[1] + first * n;
            for (int64_t o = 0; packed && o < n; o += of_output) {
                int64_t many = n - o < of_output ? n - o : of_output;
                for (int64_t i = 0; i < some; i++) {
                    Number *to = copied + o * outputs + i * of_output;
                    memcpy(to, back + i * n + o, many * sizeof(Number));
                    for (int64_t l = many; l < of_output; l++) to[l] = 0;
                }
            }
            if (packed) back = copied;
            NAME(Numbers) *sum = sums;
            for (int64_t j = 0; j < job->kh; j++, sum += taps * vectors) {
                int64_t line = y * job->sy + j * job->dy, slot = line % slots;
                int64_t of_row = image * job->lines + line;
                Number *laid = cells + slot * row_size;
                if (kept[slot] != of_row) {
                    NAME(copy)(laid, NAME(pixels_of)(job, image, line),
                               job->columns + first * job->sx, c, (some - 1) * job->sx + span,
                               (Number)job->padding);
                    kept[slot] = of_row;
                }
                for (int64_t v = 0; v < vectors; v += 2)
                    for (int64_t tap = 0; tap < taps; tap += together)
                        along[vectors - v > 1][(taps - tap < together ? taps - tap : together) - 1](
                            sum + tap * vectors + v, vectors,
                            back + v * MANY * (packed ? outputs : 1), of_output, laid, at + tap,
                            job->sx * c, some);
            }
            if (++steps >= CHAIN || row == end - 1) {
                Sum *totals = job->totals + number * job->kh * taps * n;
                for (int64_t i = 0; i < count; i++)
                    for (int64_t l = 0, o = i % vectors * MANY; l < MANY && o + l < n; l++)
                        NAME(add)(totals++, sums[i][l]);
                memset(sums, 0, count * BYTES);
                steps = 0;
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
