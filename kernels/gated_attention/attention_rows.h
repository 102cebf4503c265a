#pragma once

// For SIMD files, after simd_exp.h.

#include <cstdint>

#include "kernels/gated_attention/gated_attention.h"
#include "kernels/softmax/softmax_rows.h"

namespace penstock::kernels {
namespace {

using LinearFunction = Status (*)(const LinearArgs&);
using RmsNormFunction = Status (*)(const RmsNormArgs&);

// Keys as linear's panels [positions/16][head_dim][16]: then Q K^T is a linear of Q.
void PackKeys(const float* k, int64_t stride, int64_t positions, int64_t head_dim, float* panels) {
  for (int64_t first = 0; first < positions; first += kPanelColumns) {
    const int64_t columns = positions - first < kPanelColumns ? positions - first : kPanelColumns;
    for (int64_t c = 0; c < head_dim; ++c) {
      const float* at = k + first * stride + c;
      for (int64_t j = 0; j < columns; ++j) panels[j] = at[j * stride];
      for (int64_t j = columns; j < kPanelColumns; ++j) panels[j] = 0;
      panels += kPanelColumns;
    }
  }
}

// Values as panels [head_dim/16][positions][16]: then P V is a linear of P.
void PackValues(const float* v, int64_t stride, int64_t positions, int64_t head_dim,
                float* panels) {
  for (int64_t first = 0; first < head_dim; first += kPanelColumns) {
    const int64_t columns = head_dim - first < kPanelColumns ? head_dim - first : kPanelColumns;
    for (int64_t p = 0; p < positions; ++p) {
      const float* at = v + p * stride + first;
      for (int64_t j = 0; j < columns; ++j) panels[j] = at[j];
      for (int64_t j = columns; j < kPanelColumns; ++j) panels[j] = 0;
      panels += kPanelColumns;
    }
  }
}

// y *= sigmoid(gate) / sum. One gate for all (head-wise) or one an element.
void GateRow(float* y, int64_t dim, float sum, const float* gate, bool head_wise) {
  constexpr int kLanes = Simd::kLanes;
  const Simd::V divisor = Simd::Set(sum);
  const Simd::V shared = Simd::Div(Sigmoid(Simd::Set(gate[0])), divisor);
  for (int64_t i = 0; i < dim; i += kLanes) {
    const int64_t n = dim - i;
    if (n >= kLanes) {
      const Simd::V scale = head_wise ? shared : Simd::Div(Sigmoid(Simd::Load(gate + i)), divisor);
      Simd::Store(y + i, Simd::Mul(Simd::Load(y + i), scale));
    } else {
      const Simd::V zero = Simd::Zero();
      const Simd::V scale =
          head_wise ? shared : Simd::Div(Sigmoid(Simd::LoadPart(gate + i, n, zero)), divisor);
      Simd::StorePart(y + i, n, Simd::Mul(Simd::LoadPart(y + i, n, zero), scale));
    }
  }
}

struct HeadScratch {
  float* keys;
  float* values;
  float* scores;  // [kAttentionQueryBlock, padded positions]
};

// One head of one row. projected: [positions, project.out], q, k, v, gate columns.
Status AttendHead(const GatedAttentionWeights& w, const float* projected, int64_t positions,
                  int64_t head, float* attended, const HeadScratch& scratch,
                  LinearFunction linear) {
  const int64_t d = w.out.out, head_dim = d / w.heads, stride = w.project.out;
  const int64_t padded = LinearPanels(positions) * kPanelColumns;
  const float* q = projected + head * head_dim;
  PackKeys(q + d, stride, positions, head_dim, scratch.keys);
  PackValues(q + 2 * d, stride, positions, head_dim, scratch.values);
  const LinearWeights keys = {scratch.keys, nullptr, head_dim, positions};
  const LinearWeights values = {scratch.values, nullptr, positions, head_dim};
  const bool head_wise = w.gate == GateShape::kHeadWise;
  const float* gates = projected + 3 * d + (head_wise ? head : head * head_dim);
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(head_dim));
  float sums[kAttentionQueryBlock];
  Status status;
  for (int64_t first = 0; first < positions; first += kAttentionQueryBlock) {
    const int64_t rows =
        positions - first < kAttentionQueryBlock ? positions - first : kAttentionQueryBlock;
    status = linear({keys, rows, q + first * stride, stride, scratch.scores, padded, nullptr});
    if (status.code != Code::kOk) return status;
    for (int64_t r = 0; r < rows; ++r) {
      float* scores = scratch.scores + r * padded;
      sums[r] = ExpRow(scores, scores, positions, scale);
    }
    float* y = attended + first * d + head * head_dim;
    status = linear({values, rows, scratch.scores, padded, y, d, nullptr});
    if (status.code != Code::kOk) return status;
    for (int64_t r = 0; r < rows; ++r) {
      GateRow(y + r * d, head_dim, sums[r], gates + (first + r) * stride, head_wise);
    }
  }
  return status;
}

Status AttentionRows(const GatedAttentionArgs& args, LinearFunction linear,
                     RmsNormFunction rms_norm) {
  Status status = CheckGatedAttention(args);
  const GatedAttentionWeights& w = args.w;
  const int64_t d = w.out.out, positions = args.positions;
  if (status.code != Code::kOk || args.rows * positions * d == 0) return status;
  const int64_t head_dim = d / w.heads;
  const int64_t group = AttentionRowGroup(args.rows, positions);
  char* at = WorkspaceStart(args.workspace);
  float* projected = TakeFloats(&at, group * positions * w.project.out);
  float* attended = TakeFloats(&at, group * positions * d);
  HeadScratch scratch;
  scratch.keys = TakeFloats(&at, LinearPanels(positions) * kPanelColumns * head_dim);
  scratch.values = TakeFloats(&at, LinearPanels(head_dim) * kPanelColumns * positions);
  scratch.scores = TakeFloats(&at, kAttentionQueryBlock * LinearPanels(positions) * kPanelColumns);
  float* normed = w.norm != nullptr ? TakeFloats(&at, group * positions * d) : nullptr;
  for (int64_t row = 0; row < args.rows; row += group) {
    const int64_t rows = args.rows - row < group ? args.rows - row : group;
    const int64_t tokens = rows * positions;
    const float* x = args.x + row * positions * d;
    const float* n = x;
    if (w.norm != nullptr) {
      status = rms_norm({tokens, d, x, w.norm, w.eps, normed});
      if (status.code != Code::kOk) return status;
      n = normed;
    }
    status = linear({w.project, tokens, n, d, projected, w.project.out, nullptr});
    if (status.code != Code::kOk) return status;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t head = 0; head < w.heads; ++head) {
        status = AttendHead(w, projected + r * positions * w.project.out, positions, head,
                            attended + r * positions * d, scratch, linear);
        if (status.code != Code::kOk) return status;
      }
    }
    status = linear(
        {w.out, tokens, attended, d, args.y + row * positions * d, d, w.residual ? x : nullptr});
    if (status.code != Code::kOk) return status;
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
