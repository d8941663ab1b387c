/* slab_test - ids die with their object; checked against a plain array of what lives. */
#include "base/rng.h"
#include "base/slab.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct thing { uint64_t number; char pad[20]; };

static void late_id_finds_nothing(void **state)
{
    struct ql_slab slab;
    ql_slab_id first, second;
    (void)state;
    ql_slab_init(&slab, sizeof(struct thing), 10);
    assert_null(ql_slab_get(&slab, (ql_slab_id){ 0, 0 }));
    assert_int_equal(ql_slab_add(&slab, &first), QL_OK);
    ((struct thing *)ql_slab_get(&slab, first))->number = 7;
    ql_slab_drop(&slab, first);
    assert_null(ql_slab_get(&slab, first));
    assert_int_equal(ql_slab_add(&slab, &second), QL_OK);
    assert_int_equal(second.index, first.index); /* the slot is used again */
    assert_null(ql_slab_get(&slab, first));
    assert_int_equal(((struct thing *)ql_slab_get(&slab, second))->number, 0);
    ql_slab_fini(&slab);
    ql_slab_fini(&slab);
    ql_slab_fini(NULL);
}

static void full_refuses_and_recovers(void **state)
{
    struct ql_slab slab;
    ql_slab_id ids[37], extra;
    (void)state;
    ql_slab_init(&slab, 3, QL_COUNT_OF(ids));
    for (size_t i = 0; i < QL_COUNT_OF(ids); i++) {
        assert_int_equal(ql_slab_add(&slab, &ids[i]), QL_OK);
    }
    assert_int_equal(ql_slab_add(&slab, &extra), QL_E_FULL);
    ql_slab_drop(&slab, ids[5]);
    assert_int_equal(ql_slab_add(&slab, &extra), QL_OK);
    assert_int_equal(slab.live_count, QL_COUNT_OF(ids));
    ql_slab_fini(&slab);
}

struct model { ql_slab_id id; uint64_t number; bool live; };
enum { MODEL_COUNT = 300 };

static void model_compare(const struct ql_slab *slab, const struct model *models)
{
    uint32_t live = 0, walked = 0, index = 0;
    ql_slab_id id;
    for (size_t i = 0; i < MODEL_COUNT; i++) {
        const struct thing *thing = ql_slab_get(slab, models[i].id);
        assert_int_equal(thing != NULL, models[i].live);
        if (models[i].live) {
            assert_true(thing->number == models[i].number);
            live++;
        }
    }
    while (ql_slab_next(slab, &index, &id)) {
        assert_non_null(ql_slab_get(slab, id));
        walked++;
    }
    assert_int_equal(walked, live);
    assert_int_equal(slab->live_count, live);
}

static void behaves_like_a_list(void **state)
{
    const uint64_t seed = 7;
    static struct model models[MODEL_COUNT];
    struct ql_slab slab;
    struct ql_rng rng;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    ql_rng_init(&rng, seed, "slab_test");
    ql_slab_init(&slab, sizeof(struct thing), MODEL_COUNT);
    for (uint64_t step = 0; step < 20000; step++) {
        struct model *model = &models[ql_rng_below(&rng, MODEL_COUNT)];
        if (model->live) {
            ql_slab_drop(&slab, model->id);
            model->live = false;
        } else {
            assert_int_equal(ql_slab_add(&slab, &model->id), QL_OK);
            struct thing *thing = ql_slab_get(&slab, model->id);
            assert_true(thing->number == 0);
            thing->number = model->number = step;
            model->live = true;
        }
        if (step % 500 == 0) {
            model_compare(&slab, models);
        }
    }
    model_compare(&slab, models);
    ql_slab_fini(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_id_finds_nothing),
        cmocka_unit_test(full_refuses_and_recovers),
        cmocka_unit_test(behaves_like_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
