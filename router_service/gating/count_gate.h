#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace penstock::router {

// How many experts a request asks for: the first largest of W z + b, one row a count, from 1 on.
// Adaptive Computation Modules: Wojcik et al. 2024, arXiv:2312.10193. Immutable, thread-safe.
class CountGate {
 public:
  // weight [counts, d], bias [counts]
  CountGate(std::vector<float> weight, std::vector<float> bias)
      : weight_(std::move(weight)), bias_(std::move(bias)) {}

  // A file of `penstock train --count`. INVALID_ARGUMENT where it is none, or was trained on other
  // features than these, as MakeGate has them.
  static absl::StatusOr<std::unique_ptr<const CountGate>> Open(const std::string& path,
                                                               size_t dimension,
                                                               absl::string_view features = "");

  size_t most() const { return bias_.size(); }
  // In [1, most()], of finite features.
  size_t Count(absl::Span<const float> z) const;

 private:
  const std::vector<float> weight_;
  const std::vector<float> bias_;
};

}  // namespace penstock::router
