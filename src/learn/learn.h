/* learn.h - what people say about incidents becomes a model set: small, bounded, undoable.
 *
 * FEEDBACK "false" raises the threshold of signals a little, "true" and "right cause" lower
 * it less; "right cause" also says which metric family to believe next time. Each change
 * makes a new version, which the engine hands to every stage before their next tick. A
 * family that stands in no prior is Beta(1, 1): right half of the time.
 *
 * Good for     few, late, biased labels: conjugate updates cannot run away.
 * Bad for      learning per service or per series: one offset holds for the instance.
 * Method       algorithms: Beta-Bernoulli; offset +0.15 / -0.10 decades a label, at most
 *              0.3 of movement a day and 1.0 a week, total in [-1, 2].
 *
 * Reads         commands (feedback), causes (the newest ranking of each incident).
 * Writes        audits: one for every label, with what it changed or why it did not.
 * Bounds        the newest 1,024 incidents; QL_MODEL_PRIORS_MAX families, the least known
 *               makes room; a prior never holds more than 50 labels' worth.
 */
#ifndef QL_LEARN_LEARN_H
#define QL_LEARN_LEARN_H

#include "model/model_set.h"
#include "model/stage.h"

extern const struct ql_stage_type ql_learn_stage;

/* The newest set while the engine has not yet given it to the stages (this one too, by
 * adopt), else NULL. Ask after a tick; borrowed until the next push, tick or load. */
const struct ql_model_set *ql_learn_pending(void *stage);

#endif
