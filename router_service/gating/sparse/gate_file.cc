#include "router_service/gating/sparse/gate_file.h"
#include "router_service/quality/artifact_checksum.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/gating/expert_columns.h"
#include "router_service/gating/sparse/dot.h"

namespace penstock::router {

double LinearHeads::Score(size_t head, absl::Span<const float> z) const {
  return bias[head] + Dot(weight.data() + head * z.size(), z.data(), z.size());
}

absl::StatusOr<GateFile> GateFile::Open(const std::string& path, absl::string_view kind,
                                        const std::vector<std::string>& expert_names) {
  GateFile gate;
  gate.path_ = path;
  PENSTOCK_ASSIGN_OR_RETURN(gate.file_, OpenArtifact(path));
  if (gate.Metadata("kind") != kind) {
    return gate.Refused(absl::StrCat("metadata \"kind\" is \"", gate.Metadata("kind"),
                                     "\", wanted \"", kind, "\""));
  }
  size_t file_experts = 0;
  PENSTOCK_ASSIGN_OR_RETURN(gate.columns_,
                            ExpertColumns(*gate.file_, path, expert_names, file_experts));
  gate.pool_of_.assign(file_experts, kNobody);
  for (size_t i = 0; i < gate.columns_.size(); ++i) gate.pool_of_[gate.columns_[i]] = i;
  return gate;
}

std::string GateFile::Metadata(const std::string& key) const {
  const auto found = file_->metadata().find(key);
  return found == file_->metadata().end() ? "" : found->second;
}

absl::Status GateFile::Refused(absl::string_view why) const {
  return absl::InvalidArgumentError(absl::StrCat(path_, ": ", why));
}

absl::StatusOr<std::vector<float>> GateFile::Tensor(absl::string_view name,
                                                    absl::Span<const int64_t> shape) const {
  absl::StatusOr<std::vector<float>> values = file_->Floats(name, shape);
  if (!values.ok()) return Refused(values.status().message());
  if (!std::all_of(values->begin(), values->end(), [](float v) { return std::isfinite(v); })) {
    return Refused(absl::StrCat("tensor ", name, " has values that are not finite"));
  }
  return values;
}

absl::StatusOr<double> GateFile::Scalar(absl::string_view name) const {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> values, Tensor(name, {1}));
  return values.front();
}

absl::StatusOr<LinearHeads> GateFile::Heads(const std::string& name, std::vector<int64_t> heads,
                                            size_t dimension) const {
  LinearHeads result;
  const Safetensors::Entry* entry = file_->Find(name);
  std::vector<int64_t> shape = heads;
  shape.push_back(static_cast<int64_t>(dimension));
  if (entry != nullptr && entry->shape.size() == shape.size() &&
      entry->shape.back() != shape.back()) {
    return absl::InvalidArgumentError(absl::StrCat(path_, " was trained on ", entry->shape.back(),
                                                   " features, but the pool's features give ",
                                                   dimension));
  }
  PENSTOCK_ASSIGN_OR_RETURN(result.weight, Tensor(name, shape));
  result.shape.assign(entry->shape.begin(), entry->shape.end() - 1);
  size_t count = 1;
  for (const int64_t size : result.shape) count *= static_cast<size_t>(size);
  result.bias.assign(count, 0.0f);
  const std::string bias = absl::StrCat(name, "_bias");
  if (Has(bias)) {
    PENSTOCK_ASSIGN_OR_RETURN(result.bias, Tensor(bias, result.shape));
  }
  return result;
}

}  // namespace penstock::router
