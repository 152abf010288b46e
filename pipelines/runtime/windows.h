/* The part of winners.c that is written once for each type of numbers and size of vectors: it includes
   this with Number, Tap (an integer as large), BYTES, TARGET and NAME defined. */

typedef Number NAME(Vector) __attribute__((vector_size(BYTES)));
typedef Tap NAME(Won) __attribute__((vector_size(BYTES)));

/* Find which of the cells in `high` rows and `wide` columns is the largest, in a vector of channels, and
   give it what comes back. The rows of cells begin at `cells`, and those of values at `values`, or at
   NULL if they get nothing. Cells of a row are `apart` numbers apart. If windows share no cells they are
   `alone`: values are written then, and not added to. */
static ALWAYS_INLINE TARGET void NAME(give_vector)(const Number *const *cells, Number *const *values,
                                                   const Number *back, int64_t at, int64_t apart,
                                                   int high, int wide, int alone) {
    NAME(Vector) best = {0}, given, value;
    NAME(Won) won = {0};
    int tap = high * wide - 1;
    /* The rows' winners are found first, none of which waits for another. */
    UNROLL for (int j = high - 1; j >= 0; j--) {
        NAME(Vector) row;
        NAME(Won) row_won = {0};
        memcpy(&row, cells[j] + at + (wide - 1) * apart, sizeof row);
        row_won += tap--;
        UNROLL for (int i = wide - 2; i >= 0; i--, tap--) {
            NAME(Vector) new;
            memcpy(&new, cells[j] + at + i * apart, sizeof new);
            NAME(Won) wins = ~(new < row) & (row == row);
            row = (NAME(Vector))(((NAME(Won))new & wins) | ((NAME(Won))row & ~wins));
            row_won = (wins & tap) | (row_won & ~wins);
        }
        if (j == high - 1) {
            best = row;
            won = row_won;
            continue;
        }
        NAME(Won) wins = ~(row < best) & (best == best);
        best = (NAME(Vector))(((NAME(Won))row & wins) | ((NAME(Won))best & ~wins));
        won = (row_won & wins) | (won & ~wins);
    }
    memcpy(&given, back, sizeof given);
    UNROLL for (int j = 0; j < high; j++) {
        if (!values[j]) {
            tap += wide;
            continue;
        }
        UNROLL for (int i = 0; i < wide; i++) {
            Number *to = values[j] + at + i * apart;
            NAME(Vector) some = (NAME(Vector))((NAME(Won))given & (won == ++tap));
            if (!alone) memcpy(&value, to, sizeof value);
            value = alone ? some : value + some;
            memcpy(to, &value, sizeof value);
        }
    }
}

/* The same for one channel. */
static ALWAYS_INLINE void NAME(give_one)(const Number *const *cells, Number *const *values,
                                         Number back, int64_t at, int64_t apart, int high, int wide) {
    Number best = 0, *to = NULL;
    for (int j = high - 1; j >= 0; j--)
        for (int i = wide - 1; i >= 0; i--) {
            Number new = cells[j][at + i * apart];
            int first = j == high - 1 && i == wide - 1;
            if (!first && ((new < best) | (best != best))) continue;
            best = new;
            to = values[j] ? values[j] + at + i * apart : NULL;
        }
    if (to) *to += back;
}

static ALWAYS_INLINE TARGET void NAME(give_window)(const Number *const *cells, Number *const *values,
                                                   const Number *back, int64_t at, int64_t apart,
                                                   int64_t channels, int high, int wide, int alone) {
    enum { MANY = BYTES / sizeof(Number) };
    int64_t c = 0;
    for (; c + MANY <= channels; c += MANY)
        NAME(give_vector)(cells, values, back + c, at + c, apart, high, wide, alone);
    if (alone && c < channels) { /* Some are written twice, which changes nothing. */
        c = channels - MANY;
        NAME(give_vector)(cells, values, back + c, at + c, apart, high, wide, alone);
        return;
    }
    for (; c < channels; c++) NAME(give_one)(cells, values, back[c], at + c, apart, high, wide);
}

/* Give what comes back to row `y` of the outputs of an image to its pixels, whose rows begin at `lines`
   among the values, or below 0 if they are not there. */
static TARGET void NAME(give_windows)(const Job *job, const Number *image, int64_t y,
                                      const int64_t *lines, const Number *back, Number *values) {
    const Axis *height = &job->axes[1], *width = &job->axes[2];
    int64_t channels = job->channels, apart = width->dilation * channels;
    const Number *cells[SMALL];
    Number *to[SMALL];
    int high = 0;
    for (int64_t j = 0; j < height->window; j++) {
        int64_t h = y * height->stride + j * height->dilation - height->before;
        if (h < 0 || h >= height->size) continue;
        cells[high] = image + h * job->apart[2];
        to[high++] = lines[j] < 0 ? NULL : values + (lines[j] + width->places[0]) * channels;
    }
    for (int64_t o = 0; high && o < width->outputs; o++, back += channels) {
        int64_t at = o * width->stride - width->before, last = width->size - 1 - at;
        int64_t first = at < 0 ? (-at + width->dilation - 1) / width->dilation : 0;
        last = last < 0 ? -1 : last / width->dilation;
        int wide = (int)((last < width->window ? last + 1 : width->window) - first);
        at = (at + first * width->dilation) * channels;
        if (job->alone && high == 2 && wide == 2)
            NAME(give_window)(cells, to, back, at, apart, channels, 2, 2, 1);
        else if (job->alone && wide > 0)
            NAME(give_window)(cells, to, back, at, apart, channels, high, wide, 1);
        else if (high == 3 && wide == 3)
            NAME(give_window)(cells, to, back, at, apart, channels, 3, 3, 0);
        else if (wide > 0)
            NAME(give_window)(cells, to, back, at, apart, channels, high, wide, 0);
    }
}

#undef Number
#undef Tap
#undef BYTES
#undef TARGET
#undef NAME
