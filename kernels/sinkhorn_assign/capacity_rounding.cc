#include "kernels/sinkhorn_assign/capacity_rounding.h"

#include <algorithm>
#include <limits>

namespace penstock::kernels {
namespace {

constexpr int32_t kNone = -1;

float Share(const RoundingArgs& args, int32_t slot) {
  return args.shares[slot / args.k * args.stride + args.ids[slot]];
}

// The row's best expert with places that it does not hold.
int32_t BestFree(const RoundingArgs& args, const int32_t* room, int64_t row) {
  const float* shares = args.shares + row * args.stride;
  const int32_t* held = args.ids + row * args.k;
  float best = -std::numeric_limits<float>::infinity();
  int32_t id = kNone;
  for (int64_t e = 0; e < args.experts; ++e) {
    if (!(shares[e] > best) || (room != nullptr && room[e] == 0)) continue;
    const int32_t expert = static_cast<int32_t>(e);
    if (std::find(held, held + args.k, expert) != held + args.k) continue;
    best = shares[e];
    id = expert;
  }
  return id;
}

// Largest share first, empty slots last.
void SortRow(const RoundingArgs& args, int64_t row) {
  const float* shares = args.shares + row * args.stride;
  int32_t* ids = args.ids + row * args.k;
  std::sort(ids, ids + args.k, [shares](int32_t a, int32_t b) {
    if (a == kNone || b == kNone) return b == kNone && a != kNone;
    return shares[a] != shares[b] ? shares[a] > shares[b] : a < b;
  });
}

// Groups the slots of this round by expert; returns them as offsets [experts + 1] into `grouped`.
void Group(const RoundingArgs& args, const int32_t* pending, int64_t count, int32_t* offsets,
           int32_t* grouped) {
  std::fill_n(offsets, args.experts + 1, 0);
  for (int64_t i = 0; i < count; ++i) ++offsets[args.ids[pending[i]] + 1];
  for (int64_t e = 0; e < args.experts; ++e) offsets[e + 1] += offsets[e];
  // Filling from the back moves each end to its start, and keeps the slots' order.
  for (int64_t i = count; i-- > 0;) grouped[--offsets[args.ids[pending[i]] + 1]] = pending[i];
  for (int64_t e = 0; e < args.experts; ++e) offsets[e] = offsets[e + 1];
  offsets[args.experts] = static_cast<int32_t>(count);
}

}  // namespace

int64_t RoundToCapacity(const RoundingArgs& args) {
  int32_t* room = args.capacity != nullptr ? args.scratch : nullptr;
  int32_t* offsets = args.scratch + args.experts;
  int32_t* pending = offsets + args.experts + 1;
  int32_t* grouped = pending + args.rows * args.k;
  if (room != nullptr) std::copy_n(args.capacity, args.experts, room);
  int64_t waiting = args.rows * args.k, unserved = 0;
  std::fill_n(args.ids, waiting, kNone);
  for (int64_t i = 0; i < waiting; ++i) pending[i] = static_cast<int32_t>(i);
  while (waiting > 0) {
    int64_t asking = 0;
    for (int64_t i = 0; i < waiting; ++i) {
      const int32_t slot = pending[i];
      args.ids[slot] = BestFree(args, room, slot / args.k);
      if (args.ids[slot] == kNone) {
        ++unserved;
      } else {
        pending[asking++] = slot;
      }
    }
    if (room == nullptr) return unserved;
    Group(args, pending, asking, offsets, grouped);
    for (int64_t e = 0; e < args.experts; ++e) {
      int32_t* first = grouped + offsets[e];
      int32_t* last = grouped + offsets[e + 1];
      if (last - first > room[e]) {
        int32_t* refused = first + room[e];
        std::nth_element(first, refused, last, [&args](int32_t a, int32_t b) {
          const float x = Share(args, a), y = Share(args, b);
          return x != y ? x > y : a < b;
        });
        std::for_each(refused, last, [&args](int32_t slot) { args.ids[slot] = kNone; });
        last = refused;
      }
      room[e] -= static_cast<int32_t>(last - first);
    }
    waiting = 0;
    for (int64_t i = 0; i < asking; ++i) {
      if (args.ids[pending[i]] == kNone) pending[waiting++] = pending[i];
    }
  }
  for (int64_t row = 0; row < args.rows; ++row) SortRow(args, row);
  return unserved;
}

}  // namespace penstock::kernels
