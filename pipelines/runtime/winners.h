/* The part of winners.c that is written once for floats and once for doubles: it includes this with
   Number, Place and NAME defined. */

/* All processors have registers of 16 bytes. A comparison gives places of ones where it holds. */
typedef Number NAME(Numbers) __attribute__((vector_size(16)));
typedef Place NAME(Places) __attribute__((vector_size(16)));

/* Let numbers take the places of the best ones where they are not smaller. */
static inline void NAME(take)(Number *best, Place *place, const Number *numbers,
                              const Place *places, int64_t count) {
    enum { MANY = 16 / sizeof(Number) };
    int64_t i = 0;
    for (; i + MANY <= count; i += MANY) {
        NAME(Numbers) old, new;
        NAME(Places) old_place, new_place;
        memcpy(&old, best + i, sizeof old);
        memcpy(&new, numbers + i, sizeof new);
        memcpy(&old_place, place + i, sizeof old_place);
        memcpy(&new_place, places + i, sizeof new_place);
        NAME(Places) wins = ~(new < old) & (old == old);
        NAME(Places) chosen = ((NAME(Places))new & wins) | ((NAME(Places))old & ~wins);
        old_place = (new_place & wins) | (old_place & ~wins);
        memcpy(best + i, &chosen, sizeof chosen);
        memcpy(place + i, &old_place, sizeof old_place);
    }
    for (; i < count; i++) {
        int wins = !(numbers[i] < best[i]) & (best[i] == best[i]);
        best[i] = wins ? numbers[i] : best[i];
        place[i] = wins ? places[i] : place[i];
    }
}

static inline void NAME(clear)(Number *best, Place *place, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        best[i] = -INFINITY;
        place[i] = -1;
    }
}

/* The winners of a row of cells under each window's columns. `line` has memory for as many. */
static void NAME(find_in_row)(const Find *job, const Number *cells, int64_t base, Number *best,
                              Place *place, Number *line, Place *line_place) {
    const Axis *axis = &job->axes[AXES - 1];
    const Place *places = axis->places;
    int64_t c = job->channels, count = axis->outputs * c;
    NAME(clear)(best, place, count);
    for (int64_t tap = axis->window - 1; tap >= 0; tap--) {
        int64_t shift = tap * axis->dilation - axis->before; /* output 0 has the tap there */
        int64_t first = shift < 0 ? (-shift + axis->stride - 1) / axis->stride : 0;
        int64_t last = shift < axis->size ? (axis->size - 1 - shift) / axis->stride : -1;
        last = last < axis->outputs ? last : axis->outputs - 1;
        int64_t cell = (first * axis->stride + shift) * c, at = first * c, step = axis->stride * c;
        int64_t many = first <= last ? (last - first + 1) * c : 0;
        const Number *from = cells + cell;
        const Place *from_place = places + cell;
        if (axis->stride > 1) {
            for (int64_t i = 0; i < many; i += c, cell += step)
                for (int64_t j = 0; j < c; j++) {
                    line[i + j] = cells[cell + j];
                    line_place[i + j] = places[cell + j];
                }
            from = line;
            from_place = line_place;
        }
        NAME(take)(best + at, place + at, from, from_place, many);
    }
    for (int64_t i = 0; i < count; i++)
        place[i] = (place[i] < 0) | (base < 0) ? -1 : place[i] + (Place)base;
}

static int NAME(find_part)(void *context, int number, uint8_t *closure) {
    (void)context;
    const Find *job = (const Find *)closure;
    const Axis *depth = &job->axes[0], *height = &job->axes[1], *width = &job->axes[2];
    int64_t count = width->outputs * job->channels, plane = number / job->bands;
    int64_t top = (int64_t)(number % job->bands) * job->band, bottom = top + job->band;
    bottom = bottom < height->outputs ? bottom : height->outputs;
    /* Rows of cells are kept for as long as windows further down lie over them. */
    int64_t reach = (height->window - 1) * height->dilation + 1, bytes = sizeof(Number) + sizeof(Place);
    int64_t most = KEPT / (count * bytes), slots = depth->window * reach;
    slots = slots < most ? slots : most > 0 ? most : 1;
    char *memory = malloc((slots + 2) * count * bytes + slots * sizeof(int64_t));
    if (!memory) return -1;
    int64_t *kept = (int64_t *)memory; /* of each slot, the row that it holds */
    Number *best = (Number *)(kept + slots), *line = best + count, *row = line + count;
    Place *place = (Place *)(row + slots * count), *line_place = place + count;
    Place *row_place = line_place + count;
    for (int64_t i = 0; i < slots; i++) kept[i] = -1;
    const Number *image = (const Number *)job->cells + plane / depth->outputs * job->apart[0];
    for (int64_t y = top; y < bottom; y++) {
        NAME(clear)(best, place, count);
        for (int64_t i = depth->window - 1; i >= 0; i--) {
            int64_t d = plane % depth->outputs * depth->stride + i * depth->dilation - depth->before;
            if (d < 0 || d >= depth->size) continue;
            for (int64_t j = height->window - 1; j >= 0; j--) {
                int64_t h = y * height->stride + j * height->dilation - height->before;
                if (h < 0 || h >= height->size) continue;
                int64_t of_row = d * height->size + h, slot = (i * reach + h % reach) % slots;
                if (kept[slot] != of_row) {
                    int64_t of_d = ((const int64_t *)depth->places)[d];
                    int64_t of_h = ((const int64_t *)height->places)[h];
                    NAME(find_in_row)(job, image + d * job->apart[1] + h * job->apart[2],
                                      (of_d < 0) | (of_h < 0) ? -1 : of_d + of_h,
                                      row + slot * count, row_place + slot * count, line,
                                      line_place);
                    kept[slot] = of_row;
                }
                NAME(take)(best, place, row + slot * count, row_place + slot * count, count);
            }
        }
        int64_t *out = job->out + (plane * height->outputs + y) * count;
        for (int64_t i = 0; i < count; i++) out[i] = place[i];
    }
    free(memory);
    return 0;
}

static int NAME(give_part)(void *context, int number, uint8_t *closure) {
    (void)context;
    const Give *job = (const Give *)closure;
    int64_t image = number / job->bands, c = job->channels, first = number % job->bands * job->band;
    int64_t count = job->count - first < job->band ? job->count - first : job->band;
    const int64_t *place = job->places + image * job->outputs * c;
    const Number *back = (const Number *)job->numbers + image * job->outputs * c;
    Number *values = (Number *)job->values + (image * job->count + first) * c, *rest = NULL;
    memset(values, 0, count * c * sizeof(Number));
    if (job->exact && !(rest = calloc(count * c, sizeof(Number)))) return -1;
    for (int64_t o = 0; o < job->outputs; o++)
        for (int64_t i = 0; i < c; i++, place++, back++) {
            int64_t to = *place - job->start - first;
            if (to < 0 || to >= count) continue;
            Number *value = &values[to * c + i], sum = *value + *back;
            if (rest) {
                /* What the sum lost by rounding. Source: D. Knuth, The Art of Computer Programming,
                   volume 2, section 4.2.2, theorem B. */
                Number added = sum - *value;
                rest[to * c + i] += (*value - (sum - added)) + (*back - added);
            }
            *value = sum;
        }
    for (int64_t i = 0; rest && i < count * c; i++)
        if (isfinite(values[i])) values[i] += rest[i];
    free(rest);
    return 0;
}

#undef Number
#undef Place
#undef NAME
