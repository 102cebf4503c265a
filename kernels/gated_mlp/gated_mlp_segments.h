#pragma once

#include <cstdint>

#include "kernels/device/status.h"
#include "kernels/gated_mlp/gated_mlp.h"
#include "kernels/linear/linear_slices.h"

namespace penstock::kernels {

// Rows [first, first + rows) of a batch and the gated MLP they go through.
struct GatedMlpSegment {
  const GatedMlpWeights* w = nullptr;
  int64_t first = 0;
  int64_t rows = 0;
};

// Where a batch's rows come from.
struct GatedMlpInput {
  const float* rows = nullptr;  // [rows, d], one after the other
  // Row r is row picked[r] of `table`. Null: every segment reads `rows`; else those alone whose
  // format of gate and up does not pick (LinearPicksRows).
  const float* table = nullptr;
  const int32_t* picked = nullptr;
};

// An instruction set's parts of a gated MLP. glu: h = act(gate, up) in place of gate, rows
// [gate: f, up: f].
struct GatedMlpEntries {
  LinearEntry linear = nullptr;
  void (*glu)(Activation activation, float* gate_up, int64_t rows, int64_t f) = nullptr;
};

// y = Wd act(Wg x, Wu x) [+ residual] for segments that follow one another from row 0, matrices of
// one shape. gate_up: scratch [rows, 2 f]; a thread's scratch: GatedMlpLinearBytes of most rows.
Status RunGatedMlpSegments(const GatedMlpSegment* segments, int64_t count, const GatedMlpInput& x,
                           float* gate_up, const float* residual, float* y,
                           const ThreadScratch& scratch, const GatedMlpEntries& entries);

// The pool of args, where its workspace has room, and from `at` on the scratch of its threads.
ThreadScratch GatedMlpThreads(const GatedMlpArgs& args, char* at);

}  // namespace penstock::kernels
