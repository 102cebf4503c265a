#include "cli/evaluate/labelled_data.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::cli {
namespace {

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  return std::string{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

absl::StatusOr<LabelledData> ReadLabelledData(const std::string& inputs_file,
                                              const std::string& labels_file, size_t dimension,
                                              size_t limit) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string inputs, ReadFile(inputs_file));
  PENSTOCK_ASSIGN_OR_RETURN(const std::string labels, ReadFile(labels_file));
  const size_t row_bytes = dimension * sizeof(float);
  // The second keeps row_bytes from wrapping round.
  if (dimension == 0 || dimension > inputs.size() || inputs.size() % row_bytes != 0 ||
      inputs.size() / row_bytes != labels.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        inputs_file, ": wanted ", labels.size(), " rows (as ", labels_file, " has) of ", dimension,
        " fp32 values, got ", inputs.size(), " bytes"));
  }
  LabelledData data;
  data.rows = limit > 0 ? std::min(limit, labels.size()) : labels.size();
  data.dimension = dimension;
  data.inputs.resize(data.rows * dimension);
  std::memcpy(data.inputs.data(), inputs.data(), data.rows * row_bytes);
  data.labels.assign(labels.begin(), labels.begin() + static_cast<ptrdiff_t>(data.rows));
  return data;
}

}  // namespace penstock::cli
