/* The part of winners.c that is written once for floats and once for doubles: it includes this with
   Number, Tap and NAME defined. */

/* All processors have registers of 16 bytes. A comparison gives numbers of ones where it holds. */
typedef Number NAME(Numbers) __attribute__((vector_size(16)));
typedef Tap NAME(Taps) __attribute__((vector_size(16)));

/* Let numbers take the places of the best ones where they are not smaller; or of all, if these are
   the `first`. Their taps are `tap` plus `taps`, if there are any. This is one vector of them. */
static ALWAYS_INLINE void NAME(take_vector)(Number *best, Tap *best_tap, const Number *numbers,
                                            const Tap *taps, Tap tap, int first) {
    NAME(Numbers) old, new;
    NAME(Taps) old_tap, new_tap = {0};
    memcpy(&new, numbers, sizeof new);
    if (taps) memcpy(&new_tap, taps, sizeof new_tap);
    new_tap += tap;
    if (!first) {
        memcpy(&old, best, sizeof old);
        memcpy(&old_tap, best_tap, sizeof old_tap);
        NAME(Taps) wins = ~(new < old) & (old == old);
        new = (NAME(Numbers))(((NAME(Taps))new & wins) | ((NAME(Taps))old & ~wins));
        new_tap = (new_tap & wins) | (old_tap & ~wins);
    }
    memcpy(best, &new, sizeof new);
    memcpy(best_tap, &new_tap, sizeof new_tap);
}

static ALWAYS_INLINE void NAME(take)(Number *best, Tap *best_tap, const Number *numbers,
                                     const Tap *taps, Tap tap, int first, int64_t count) {
    enum { MANY = 16 / sizeof(Number) };
    int64_t i = 0;
    for (; i + MANY <= count; i += MANY)
        NAME(take_vector)(best + i, best_tap + i, numbers + i, taps ? taps + i : taps, tap, first);
    if (i < count && count >= MANY) { /* Some are taken twice, which changes nothing. */
        i = count - MANY;
        NAME(take_vector)(best + i, best_tap + i, numbers + i, taps ? taps + i : taps, tap, first);
        return;
    }
    for (; i < count; i++) {
        int wins = first | (!(numbers[i] < best[i]) & (best[i] == best[i]));
        best[i] = wins ? numbers[i] : best[i];
        best_tap[i] = wins ? (taps ? taps[i] : 0) + tap : best_tap[i];
    }
}

static inline void NAME(clear)(Number *best, Tap *tap, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        best[i] = -INFINITY;
        tap[i] = NONE;
    }
}

/* The winners of a row of cells under each window's columns. `line` has memory for as many. */
static void NAME(find_in_row)(const Job *job, const Number *cells, Number *best, Tap *taps,
                              Number *line) {
    const Axis *axis = &job->axes[AXES - 1];
    int64_t c = job->channels, count = axis->outputs * c, step = axis->stride * c;
    for (int64_t tap = axis->window - 1; tap >= 0; tap--) {
        Range some = under(axis, tap);
        int64_t at = some.begin * c, many = (some.end - some.begin) * c;
        int first = tap == axis->window - 1;
        if (first && many < count) {
            NAME(clear)(best, taps, count);
            first = 0;
        }
        const Number *from = cells + some.cell * c;
        if (axis->stride > 1 && c >= FEW) {
            for (int64_t i = at; i < at + many; i += c, from += step)
                if (first) NAME(take)(best + i, taps + i, from, NULL, (Tap)tap, 1, c);
                else NAME(take)(best + i, taps + i, from, NULL, (Tap)tap, 0, c);
            continue;
        }
        if (axis->stride > 1) {
            if (c == 1)
                for (int64_t i = 0; i < many; i++) line[i] = from[i * step];
            else
                for (int64_t i = 0; i < many; i += c, from += step)
                    for (int64_t j = 0; j < c; j++) line[i + j] = from[j];
            from = line;
        }
        if (first) NAME(take)(best, taps, from, NULL, (Tap)tap, 1, many);
        else NAME(take)(best + at, taps + at, from, NULL, (Tap)tap, 0, many);
    }
}

/* The taps that win for row `y` of the outputs in plane `p`, of an image with these cells. */
static const int32_t *NAME(find_row)(const Job *job, Kept *kept, const Number *image, int64_t p,
                                     int64_t y) {
    const Axis *depth = &job->axes[0], *height = &job->axes[1], *width = &job->axes[2];
    int64_t count = width->outputs * job->channels;
    int64_t reach = (height->window - 1) * height->dilation + 1, slots = kept->slots;
    Number *best = kept->memory, *line = best + count, *row = line + count;
    Tap *taps = (Tap *)(row + slots * count), *row_taps = taps + count;
    int first = 1;
    for (int64_t i = depth->window - 1; i >= 0; i--) {
        int64_t d = p * depth->stride + i * depth->dilation - depth->before;
        if (d < 0 || d >= depth->size) continue;
        for (int64_t j = height->window - 1; j >= 0; j--) {
            int64_t h = y * height->stride + j * height->dilation - height->before;
            if (h < 0 || h >= height->size) continue;
            int64_t of_row = d * height->size + h, slot = (i * reach + h % reach) % slots;
            Number *from = row + slot * count;
            Tap *from_taps = row_taps + slot * count;
            Tap tap = (Tap)((i * height->window + j) << job->bits);
            if (kept->rows[slot] != of_row) {
                const Number *cells = image + d * job->apart[1] + h * job->apart[2];
                NAME(find_in_row)(job, cells, from, from_taps, line);
                kept->rows[slot] = of_row;
            }
            if (first) NAME(take)(best, taps, from, from_taps, tap, 1, count);
            else NAME(take)(best, taps, from, from_taps, tap, 0, count);
            first = 0;
        }
    }
    if (first) NAME(clear)(best, taps, count);
    if (sizeof(Tap) == sizeof(int32_t)) return (const int32_t *)taps;
    for (int64_t i = 0; i < count; i++) kept->taps[i] = (int32_t)taps[i];
    return kept->taps;
}

/* Give to each of these values what comes back, if the tap that won is the one that lies there. */
static inline void NAME(give_run)(Number *values, const int32_t *taps, int32_t tap,
                                  const Number *back, int64_t count) {
    enum { MANY = 16 / sizeof(Number) };
    typedef int32_t Won __attribute__((vector_size(MANY * sizeof(int32_t))));
    int64_t i = 0;
    for (; i + MANY <= count; i += MANY) {
        NAME(Numbers) value, given;
        Won won;
        memcpy(&value, values + i, sizeof value);
        memcpy(&given, back + i, sizeof given);
        memcpy(&won, taps + i, sizeof won);
        NAME(Taps) here = __builtin_convertvector(won == tap, NAME(Taps));
        value += (NAME(Numbers))((NAME(Taps))given & here);
        memcpy(values + i, &value, sizeof value);
    }
    for (; i < count; i++) values[i] += taps[i] == tap ? back[i] : 0;
}

/* Give what comes back to a row of outputs to the pixels under the taps that won. Each pixel gets it
   output after output. */
static void NAME(give_row)(const Job *job, const int32_t *taps, const int64_t *lines,
                           const Number *back, Number *values, Number *rest) {
    const Axis *width = &job->axes[AXES - 1];
    int64_t c = job->channels, step = width->stride * c;
    if (job->in_runs) {
        int64_t count = job->axes[0].window * job->axes[1].window;
        for (int64_t line = 0; line < count; line++)
            for (int64_t i = width->window - 1; lines[line] >= 0 && i >= 0; i--) {
                Range some = under(width, i);
                int32_t tap = (int32_t)(line << job->bits | i);
                int64_t at = some.begin * c, many = (some.end - some.begin) * c;
                Number *to = values + (lines[line] + width->places[some.cell]) * c;
                if (width->stride == 1) NAME(give_run)(to, taps + at, tap, back + at, many);
                else
                    for (int64_t j = at; j < at + many; j += c, to += step)
                        NAME(give_run)(to, taps + j, tap, back + j, c);
            }
        return;
    }
    for (int64_t o = 0; o < width->outputs; o++) {
        int64_t at = o * width->stride - width->before;
        for (int64_t i = 0; i < c; i++, taps++, back++) {
            int64_t place = place_of(job, *taps, lines, at);
            if (place < 0) continue;
            Number *value = &values[place * c + i], sum = *value + *back;
            if (rest) {
                /* What the sum lost by rounding. Source: D. Knuth, The Art of Computer Programming,
                   volume 2, section 4.2.2, theorem B. */
                Number added = sum - *value;
                rest[place * c + i] += (*value - (sum - added)) + (*back - added);
            }
            *value = sum;
        }
    }
}

static void NAME(add_rest)(Number *values, const Number *rest, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (isfinite(values[i])) values[i] += rest[i];
}

#undef Number
#undef Tap
#undef NAME
