#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// Which rows are learned from, and those of every tenth group, which tell when to stop. Of two
// groups or more at least one is on either side; a single one is learned from.
struct HeldBackRows {
  HeldBackRows(absl::Span<const uint32_t> group, uint64_t seed);
  // `learn` in an order that depends on (seed, epoch) only.
  std::vector<size_t> Shuffled(int epoch) const;

  uint64_t seed;
  std::vector<size_t> learn;
  std::vector<size_t> held;
};

// Epochs where no held-back row tells when to stop.
inline constexpr int kBlindEpochs = 10;

// The model after the epoch at which loss(model, held) was least; gives up after `patience` epochs
// that brought nothing. `pass(model, order)` is one epoch. Where `held` tells nothing, a loss of 0,
// the model after kBlindEpochs.
template <class Model, class Pass, class Loss>
Model FitUntilNoBetter(Model model, const HeldBackRows& rows, int most_epochs, int patience,
                       const Pass& pass, const Loss& loss) {
  Model best = model;
  double best_loss = loss(model, rows.held);
  int best_epoch = 0;
  if (!(best_loss > 0)) {
    const int epochs = std::min(most_epochs, kBlindEpochs);
    for (int epoch = 1; epoch <= epochs; ++epoch) pass(model, rows.Shuffled(epoch));
    return model;
  }
  for (int epoch = 1; epoch <= most_epochs && epoch - best_epoch <= patience; ++epoch) {
    pass(model, rows.Shuffled(epoch));
    const double now = loss(model, rows.held);
    if (now < best_loss) {
      best_loss = now;
      best = model;
      best_epoch = epoch;
    }
  }
  return best;
}

}  // namespace penstock::router
