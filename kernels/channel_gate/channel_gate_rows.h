#pragma once

// For SIMD files, after one of simd_avx2.h and simd_avx512.h.

#include <cstdint>

#include "kernels/channel_gate/channel_gate.h"

namespace penstock::kernels {
namespace {

struct ChannelList {
  int64_t channels;
  int64_t block;
  int32_t* index;
  int64_t count;
  int64_t end;  // channels below it have been decided
};

// The channel's block, unless it is in already.
[[gnu::always_inline]] inline void KeepBlockOf(int64_t channel, ChannelList* list) {
  if (channel < list->end) return;
  const int64_t first = channel / list->block * list->block;
  list->end = first + list->block < list->channels ? first + list->block : list->channels;
  for (int64_t c = first; c < list->end; ++c) list->index[list->count++] = static_cast<int32_t>(c);
}

[[gnu::always_inline]] inline int64_t FirstLargest(const float* logits, int64_t channels) {
  const Simd::V lowest = Simd::Set(-__builtin_inff());
  Simd::V most = lowest;
  for (int64_t c = 0; c < channels; c += Simd::kLanes) {
    const int64_t n = channels - c;
    most = Simd::Max(
        most, n >= Simd::kLanes ? Simd::Load(logits + c) : Simd::LoadPart(logits + c, n, lowest));
  }
  const float largest = Simd::ReduceMax(most);
  for (int64_t c = 0; c < channels; ++c) {
    if (logits[c] == largest) return c;
  }
  return 0;
}

Status ChannelGateRows(const ChannelGateArgs& args) {
  const Status status = CheckChannelGate(args);
  if (status.code != Code::kOk) return status;
  const Simd::V zero = Simd::Zero(), one = Simd::Set(1.0f), lowest = Simd::Set(-__builtin_inff());
  for (int64_t t = 0; t < args.rows; ++t) {
    const float* logits = args.logits + t * args.channels;
    ChannelList list = {args.channels, args.block, args.index + t * args.channels, 0, 0};
    for (int64_t c = 0; c < args.channels; c += Simd::kLanes) {
      const int64_t n = args.channels - c;
      const Simd::V z =
          n >= Simd::kLanes ? Simd::Load(logits + c) : Simd::LoadPart(logits + c, n, lowest);
      const Simd::V kept = Simd::IfLess(zero, Simd::IfNan(z, one), one, zero);
      for (uint32_t bits = Simd::EqualBits(kept, one); bits != 0; bits &= bits - 1) {
        KeepBlockOf(c + __builtin_ctz(bits), &list);
      }
    }
    if (list.count == 0 && args.channels > 0) {
      KeepBlockOf(FirstLargest(logits, args.channels), &list);
    }
    for (int64_t i = list.count; i < args.channels; ++i) list.index[i] = kNoChannel;
    args.count[t] = static_cast<int32_t>(list.count);
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
