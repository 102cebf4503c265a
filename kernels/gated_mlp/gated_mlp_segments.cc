#include "kernels/gated_mlp/gated_mlp_segments.h"

#include <algorithm>

namespace penstock::kernels {
namespace {

// Activations a thread is woken for: some ten microseconds.
constexpr int64_t kActivations = 1 << 14;

}  // namespace

Status RunGatedMlpSegments(const GatedMlpSegment* segments, int64_t count, const GatedMlpInput& x,
                           float* gate_up, const float* residual, float* y,
                           const ThreadScratch& scratch, const GatedMlpEntries& entries) {
  if (count == 0) return {};
  const int64_t rows = segments[count - 1].first + segments[count - 1].rows;
  const int64_t d = segments[0].w->gate_up.in, f = segments[0].w->down.in;
  const int64_t o = segments[0].w->down.out;
  const Status status = RunLinears(count, rows, scratch, entries.linear, [&](int64_t i) {
    const GatedMlpSegment& s = segments[i];
    LinearArgs args = {s.w->gate_up, s.rows, x.rows + s.first * d, d, gate_up + s.first * 2 * f,
                       2 * f};
    if (x.picked != nullptr && LinearPicksRows(s.w->gate_up.format)) {
      args.x = x.table;
      args.x_rows = x.picked + s.first;
    }
    return args;
  });
  if (!status.ok()) return status;
  ParallelParts(scratch.pool, rows, kActivations / std::max<int64_t>(f, 1),
                [&](int64_t first, int64_t last) {
                  for (int64_t i = 0; i < count; ++i) {
                    const GatedMlpSegment& s = segments[i];
                    const int64_t from = std::max(first, s.first);
                    const int64_t to = std::min(last, s.first + s.rows);
                    if (from >= to) continue;
                    entries.glu(s.w->activation, gate_up + from * 2 * f, to - from, f);
                  }
                });
  return RunLinears(count, rows, scratch, entries.linear, [&](int64_t i) {
    const GatedMlpSegment& s = segments[i];
    return LinearArgs{s.w->down,
                      s.rows,
                      gate_up + s.first * 2 * f,
                      2 * f,
                      y + s.first * o,
                      o,
                      residual != nullptr ? residual + s.first * o : nullptr};
  });
}

ThreadScratch GatedMlpThreads(const GatedMlpArgs& args, char* at) {
  ThreadPool* pool = PoolWithRoom(args.workspace, [&](int threads) {
    return GatedMlpWorkspaceBytes(args.w, args.rows, threads);
  });
  return {pool, at, GatedMlpLinearBytes(args.w, std::min(args.rows, kGatedMlpRowBlock))};
}

}  // namespace penstock::kernels
