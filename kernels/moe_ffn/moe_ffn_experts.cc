#include "kernels/moe_ffn/moe_ffn_experts.h"

#include <algorithm>
#include <cstring>
#include <span>

namespace penstock::kernels {
namespace {

// Floats to copy or add that a thread is woken for: some ten microseconds.
constexpr int64_t kFloatsMoved = 1 << 15;

// Segments of a batch that run together: threads find work in all of them. One expert's rows are
// parted only where they are more than a block, so that its weights pass by once.
struct Wave {
  GatedMlpSegment segments[kGatedMlpRowBlock];
  int64_t count = 0;
  int64_t rows = 0;
};

// Rows of tokens, one after the other, for the segments that want them so.
void CopyRows(const MoeFfnArgs& args, const Wave& wave, const int32_t* tokens, ThreadPool* pool,
              float* copy) {
  const int64_t d = args.w.d;
  for (const GatedMlpSegment& s : std::span(wave.segments, static_cast<size_t>(wave.count))) {
    if (LinearPicksRows(s.w->gate_up.format)) continue;
    ParallelParts(pool, s.rows, kFloatsMoved / std::max<int64_t>(d, 1),
                  [&](int64_t first, int64_t last) {
                    for (int64_t r = s.first + first; r < s.first + last; ++r) {
                      std::memcpy(copy + r * d, args.x + tokens[r] * d,
                                  static_cast<size_t>(d) * sizeof(float));
                    }
                  });
  }
}

// The grouped rows of a plan, wave by wave.
class Waves {
 public:
  explicit Waves(const MoeFfnArgs& args) : args_(args) {}

  int64_t first() const { return first_; }  // grouped row of the wave to come
  bool Next(Wave* wave) {
    wave->count = wave->rows = 0;
    for (; expert_ < args_.w.count; ++expert_) {
      const int64_t end = args_.plan.offsets[expert_ + 1];
      while (first_ + wave->rows < end) {
        const int64_t rows = std::min(end - first_ - wave->rows, kGatedMlpRowBlock);
        if (wave->rows + rows > kGatedMlpRowBlock) return true;
        wave->segments[wave->count++] = {&args_.w.experts[expert_], wave->rows, rows};
        wave->rows += rows;
      }
    }
    return wave->rows > 0;
  }
  void Done(const Wave& wave) { first_ += wave.rows; }

 private:
  const MoeFfnArgs& args_;
  int64_t expert_ = 0;
  int64_t first_ = 0;
};

CombineArgs CombinedRows(const MoeFfnArgs& args, const float* grouped, int64_t first,
                         int64_t last) {
  const int64_t o = args.w.o;
  return {last - first,
          args.k,
          o,
          args.plan.offsets[args.w.count],
          grouped,
          args.plan.dst + first * args.k,
          args.weights + first * args.k,
          args.residual != nullptr ? args.residual + first * o : nullptr,
          args.y + first * o};
}

}  // namespace

Status MoeFfnExperts(const MoeFfnArgs& args, const GatedMlpEntries& mlp,
                     Status (*combine)(const CombineArgs&)) {
  Status status = CheckMoeFfn(args);
  if (!status.ok() || args.rows == 0) return status;
  const MoeWeights& w = args.w;
  const int64_t pairs = args.rows * args.k;
  const int64_t block = std::min(pairs, kGatedMlpRowBlock);
  char* at = WorkspaceStart(args.workspace);
  int32_t* tokens = reinterpret_cast<int32_t*>(TakeFloats(&at, block));
  float* copied = TakeFloats(&at, block * w.d);
  float* gate_up = TakeFloats(&at, block * 2 * w.f);
  float* grouped = TakeFloats(&at, pairs * w.o);
  ThreadPool* pool = PoolWithRoom(args.workspace, [&](int threads) {
    return MoeFfnWorkspaceBytes(w, args.rows, args.k, threads);
  });
  const ThreadScratch scratch = {pool, at, MoeFfnLinearBytes(w, block)};

  Wave wave;
  for (Waves waves(args); waves.Next(&wave); waves.Done(wave)) {
    for (int64_t r = 0; r < wave.rows; ++r) {
      tokens[r] = static_cast<int32_t>(args.plan.src[waves.first() + r] / args.k);
    }
    CopyRows(args, wave, tokens, pool, copied);
    status = RunGatedMlpSegments(wave.segments, wave.count, {copied, args.x, tokens}, gate_up,
                                 nullptr, grouped + waves.first() * w.o, scratch, mlp);
    if (!status.ok()) return status;
  }
  SharedStatus combined;
  ParallelParts(pool, args.rows, kFloatsMoved / std::max<int64_t>((args.k + 1) * w.o, 1),
                [&](int64_t first, int64_t last) {
                  combined.Note(combine(CombinedRows(args, grouped, first, last)));
                });
  return combined.status();
}

}  // namespace penstock::kernels
