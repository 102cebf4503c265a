#pragma once

// For SIMD files, after simd_exp.h.

#include <cstdint>
#include <cstring>

#include "kernels/prefix_ffn/hidden_activation.h"
#include "kernels/prefix_ffn/prefix_ffn.h"

namespace penstock::kernels {
namespace {

struct PrefixScratch {
  int32_t* order;   // [rows], widest first, equal ones in order
  int32_t* starts;  // [count + 1]
  float* gathered;  // [block, d]
  float* hidden;    // [block, r]
  float* sum;       // [block, o]
  Workspace linear;
};

[[gnu::always_inline]] inline int64_t WidthOf(const PrefixFfnArgs& args, int64_t row) {
  const int64_t width = args.width[row];
  return width < 0 ? 0 : width > args.w.count ? args.w.count : width;
}

// Counting sort by width, descending, stable.
void SortByWidth(const PrefixFfnArgs& args, const PrefixScratch& s) {
  const int64_t count = args.w.count;
  int64_t total = 0;
  for (int64_t i = 0; i <= count; ++i) s.starts[i] = 0;
  for (int64_t t = 0; t < args.rows; ++t) {
    ++s.starts[count - WidthOf(args, t)];
    total += WidthOf(args, t);
  }
  int32_t start = 0;
  for (int64_t i = 0; i <= count; ++i) {
    const int32_t rows = s.starts[i];
    s.starts[i] = start;
    start += rows;
  }
  for (int64_t t = 0; t < args.rows; ++t) {
    s.order[s.starts[count - WidthOf(args, t)]++] = static_cast<int32_t>(t);
  }
  if (args.learners_run != nullptr) *args.learners_run += total;
}

// Learner i serves the first rows of a block that is sorted by width: nested ranges.
Status PrefixBlock(const PrefixFfnArgs& args, const PrefixScratch& s, const int32_t* order,
                   int64_t rows, Status (*linear)(const LinearArgs&)) {
  const PrefixFfnWeights& w = args.w;
  Status status;
  for (int64_t j = 0; j < rows; ++j) {
    if (w.d > 0) {
      std::memcpy(s.gathered + j * w.d, args.x + order[j] * w.d,
                  static_cast<size_t>(w.d) * sizeof(float));
    }
    float* sum = s.sum + j * w.o;
    for (int64_t c = 0; c < w.o; ++c) sum[c] = w.base != nullptr ? w.base[c] : 0;
  }
  int64_t wanting = rows;
  for (int64_t i = 0; i < w.count; ++i) {
    while (wanting > 0 && WidthOf(args, order[wanting - 1]) <= i) --wanting;
    if (wanting == 0) break;
    LinearArgs in, out;
    in.w = w.learners[i].in;
    in.x = s.gathered;
    in.y = s.hidden;
    out.w = w.learners[i].out;
    out.x = s.hidden;
    out.y = s.sum;
    out.residual = s.sum;
    in.rows = out.rows = wanting;
    in.workspace = out.workspace = s.linear;
    status = linear(in);
    if (status.code != Code::kOk) return status;
    ActivateHiddenRows(w.activation, s.hidden, wanting * w.r);
    status = linear(out);
    if (status.code != Code::kOk) return status;
  }
  for (int64_t j = 0; j < rows; ++j) {
    std::memcpy(args.y + order[j] * w.o, s.sum + j * w.o, static_cast<size_t>(w.o) * sizeof(float));
  }
  return status;
}

Status PrefixFfnRows(const PrefixFfnArgs& args, Status (*linear)(const LinearArgs&)) {
  Status status = CheckPrefixFfn(args);
  const PrefixFfnWeights& w = args.w;
  if (status.code != Code::kOk || args.rows == 0 || w.o == 0) return status;
  const int64_t block = args.rows < kPrefixRowBlock ? args.rows : kPrefixRowBlock;
  char* at = WorkspaceStart(args.workspace);
  PrefixScratch s;
  s.order = reinterpret_cast<int32_t*>(TakeFloats(&at, args.rows));
  s.starts = reinterpret_cast<int32_t*>(TakeFloats(&at, w.count + 1));
  s.gathered = TakeFloats(&at, block * w.d);
  s.hidden = TakeFloats(&at, block * w.r);
  s.sum = TakeFloats(&at, block * w.o);
  s.linear = {at, PrefixFfnLinearBytes(w, block)};
  SortByWidth(args, s);
  for (int64_t first = 0; first < args.rows; first += block) {
    const int64_t rows = args.rows - first < block ? args.rows - first : block;
    status = PrefixBlock(args, s, s.order + first, rows, linear);
    if (status.code != Code::kOk) return status;
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
