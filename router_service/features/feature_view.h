#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "common/tensors/infer_message.h"
#include "common/tensors/tensor.h"

namespace penstock::router {

// What features are read from. Borrows.
struct FeatureRequest {
  FeatureRequest(absl::Span<const Tensor> tensors,  // NOLINT: a request without parameters
                 absl::Span<const Parameter> of_request = {})
      : inputs(tensors), parameters(of_request) {}

  absl::Span<const Tensor> inputs;
  absl::Span<const Parameter> parameters;
};

// z of one request: a dense part and a sparse part, either of which may be empty. Borrows.
struct FeatureView {
  FeatureView() = default;
  FeatureView(absl::Span<const float> z) : dense(z) {}        // NOLINT: dense features alone
  FeatureView(const std::vector<float>& z) : dense(z) {}      // NOLINT
  FeatureView(absl::Span<const float> z, absl::Span<const uint32_t> at,
              absl::Span<const float> value)
      : dense(z), indices(at), values(value) {}
  // Nothing is known of the request: models answer with what holds for the mean request.
  static FeatureView Unknown() {
    FeatureView view;
    view.known = false;
    return view;
  }

  absl::Span<const float> dense;
  absl::Span<const uint32_t> indices;  // strictly ascending
  absl::Span<const float> values;      // values[i] stands at indices[i]; all others are 0
  bool known = true;
};

// Where an extractor writes. Reused from request to request by one thread, it stops allocating.
struct FeatureBuffer {
  std::vector<float> dense;
  std::vector<uint32_t> indices;
  std::vector<float> values;
  // All entries are. If not, gates must not see them, and models get FeatureView::Unknown().
  bool finite = true;
  // The extractor's own.
  std::vector<uint32_t> scratch, scratch2;

  void Clear() {
    dense.clear();
    indices.clear();
    values.clear();
    finite = true;
  }
  FeatureView view() const {
    return finite ? FeatureView(dense, indices, values) : FeatureView::Unknown();
  }
};

}  // namespace penstock::router
