#include "router_service/learning/principals/median_heads.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "router_service/learning/linear/linear_design.h"
#include "router_service/learning/linear/logistic_heads.h"

namespace penstock::router {

size_t BlockOf(absl::string_view principal, size_t blocks) {
  uint64_t number = 0;
  for (const char digit : Sha256Hex(principal).substr(0, 15)) {
    number = number * 16 + static_cast<uint64_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
  }
  return static_cast<size_t>(number % blocks);
}

double MedianHeads::Logit(size_t head, absl::Span<const float> z) const {
  double sum = bias[head];
  for (size_t d = 0; d < dimension; ++d) {
    sum += static_cast<double>(weight[head * dimension + d]) * z[d];
  }
  return sum;
}

double MedianHeads::Reach(size_t head, absl::Span<const float> z) const {
  double sum = bias_reach[head];
  for (size_t d = 0; d < dimension; ++d) {
    sum += static_cast<double>(weight_reach[head * dimension + d]) * std::abs(z[d]);
  }
  return sum;
}

absl::StatusOr<MedianHeads> FitMedianHeads(absl::Span<const float> x, size_t dimension,
                                           absl::Span<const float> labels, size_t heads,
                                           absl::Span<const std::string> principals,
                                           const MedianHeadsOptions& options) {
  const size_t rows = principals.size();
  if (options.blocks < 3 || options.blocks > 101 || options.blocks % 2 == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("blocks are ", options.blocks, ", wanted an odd number in [3, 101]"));
  }
  if (!(options.l2 > 0)) {
    return absl::InvalidArgumentError(absl::StrCat("l2 is ", options.l2, ", wanted above 0"));
  }
  if (x.size() != rows * dimension || labels.size() != rows * heads) {
    return absl::InvalidArgumentError(
        absl::StrCat("wanted ", rows, " rows of ", dimension, " features and ", heads,
                     " labels, got ", x.size(), " features and ", labels.size(), " labels"));
  }
  std::vector<std::vector<size_t>> of_block(options.blocks);
  for (size_t row = 0; row < rows; ++row) {
    of_block[BlockOf(principals[row], options.blocks)].push_back(row);
  }
  const size_t width = dimension + 1;
  std::vector<std::vector<double>> fits;  // [blocks][heads, width]
  for (size_t block = 0; block < options.blocks; ++block) {
    const std::vector<size_t>& taken = of_block[block];
    if (taken.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("no principal falls to block ", block, " of ",
                                                     options.blocks,
                                                     ": wanted more principals, or fewer blocks"));
    }
    std::vector<float> of_rows;
    for (size_t head = 0; head < heads; ++head) {
      for (const size_t row : taken) of_rows.push_back(labels[head * rows + row]);
    }
    std::vector<double>& parameters = fits.emplace_back(heads * width, 0.0);
    FitLogistic(LinearDesign(x, dimension, taken), of_rows, heads, options.l2, {}, parameters);
  }
  MedianHeads result;
  result.dimension = dimension;
  const size_t middle = options.blocks / 2;
  std::vector<float> values(options.blocks);
  for (size_t at = 0; at < heads * width; ++at) {
    for (size_t block = 0; block < options.blocks; ++block) {
      values[block] = static_cast<float>(fits[block][at]);
    }
    std::sort(values.begin(), values.end());
    const float median = values[middle];
    const float reach = std::max(median - values[middle - 1], values[middle + 1] - median);
    const bool is_bias = at % width == dimension;
    (is_bias ? result.bias : result.weight).push_back(median);
    (is_bias ? result.bias_reach : result.weight_reach).push_back(reach);
  }
  return result;
}

}  // namespace penstock::router
