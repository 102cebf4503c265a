#pragma once

#include <cstddef>
#include <cstdint>

#include "router_service/simulation/outcome_matrix.h"

namespace penstock::router {

// What a caller does to its prompts so that the router sends them to one expert. Each changes what
// the router believes, and nothing of what the answers are worth or take.
enum class Attack {
  kNone,
  // Knows the models: that expert's quality is predicted as 1, everybody else's as 0.
  kWhiteBox,
  // The same, and the expert's joules are predicted as the least of all predictions, everybody
  // else's as the most.
  kWhiteBoxJoules,
  // Pastes the features of the prompt that favours the expert most: all its estimates.
  kPaste,
  // Tries 8 suffixes, each moving all estimates as far as another prompt's lie from the mean, and
  // sends the one that favours the expert most.
  kRandomSuffix,
};

const char* AttackName(Attack attack);

// The rows of `outcomes` and after them the same rows as the attack on `expert` makes them look:
// [2 rows, experts]. A prompt favours the expert by how far its predicted quality less priced
// joules lies above everybody else's at `price_per_joule`. Random draws by (seed, row).
OutcomeMatrix WithAttackedRows(const OutcomeMatrix& outcomes, Attack attack, size_t expert,
                               double price_per_joule, uint64_t seed);

}  // namespace penstock::router
