#include "router_service/combining/local_gate.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/tensors/safetensors.h"
#include "router_service/quality/artifact_checksum.h"

namespace penstock::router {
namespace {

constexpr char kKind[] = "local_gate";

absl::Status Bad(absl::string_view where, absl::string_view detail) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": ", detail));
}

std::optional<size_t> FindExpert(const config::v1::Pool& pool, absl::string_view name) {
  for (int i = 0; i < pool.experts_size(); ++i) {
    if (pool.experts(i).name() == name) return static_cast<size_t>(i);
  }
  return std::nullopt;
}

std::string MetadataOf(const Safetensors& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  return found == file.metadata().end() ? "" : found->second;
}

}  // namespace

LocalGate::Features LocalGate::FeaturesOf(absl::Span<const float> global,
                                          absl::Span<const float> local, double distance) {
  double entropy = 0;
  for (const float p : global) entropy -= p > 0 ? p * std::log(static_cast<double>(p)) : 0;
  return {*std::max_element(global.begin(), global.end()), entropy, distance,
          *std::max_element(local.begin(), local.end())};
}

double LocalGate::Distance(absl::Span<const float> z) const {
  double squares = 0;
  for (size_t i = 0; i < centroid.size(); ++i) {
    const double off = static_cast<double>(z[i]) - centroid[i];
    squares += off * off;
  }
  return std::sqrt(squares);
}

double LocalGate::Probability(const Features& features) const {
  double score = bias;
  for (size_t i = 0; i < kFeatures; ++i) score += weight[i] * features[i];
  return 1 / (1 + std::exp(-score));
}

absl::Status WriteLocalGate(const std::string& path, const std::string& tenant,
                            const LocalGate& gate) {
  const std::vector<float> weight(gate.weight.begin(), gate.weight.end());
  const std::vector<SafetensorsTensor> tensors = {
      {"weight", {static_cast<int64_t>(weight.size())}, weight},
      {"bias", {1}, {static_cast<float>(gate.bias)}},
      {"tau", {1}, {static_cast<float>(gate.tau)}},
      {"centroid", {static_cast<int64_t>(gate.centroid.size())}, gate.centroid}};
  return WriteSafetensors(
      path, tensors,
      {{"kind", kKind}, {"tenant", tenant}, {"checksum", ArtifactChecksum(tensors)}});
}

absl::StatusOr<LocalGate> ReadLocalGate(const std::string& path, absl::string_view tenant,
                                        size_t dimension) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> file, OpenArtifact(path));
  if (MetadataOf(*file, "kind") != kKind) {
    return Bad(path, absl::StrCat("metadata \"kind\" is not ", kKind));
  }
  if (MetadataOf(*file, "tenant") != tenant) {
    return Bad(path, absl::StrCat("is the gate of tenant \"", MetadataOf(*file, "tenant"),
                                  "\", wanted \"", tenant, "\""));
  }
  LocalGate gate;
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> weight,
                            file->Floats("weight", {static_cast<int64_t>(LocalGate::kFeatures)}));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> bias, file->Floats("bias", {1}));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> tau, file->Floats("tau", {1}));
  PENSTOCK_ASSIGN_OR_RETURN(gate.centroid, file->Floats("centroid", {-1}));
  if (gate.centroid.size() != dimension) {
    return Bad(path, absl::StrCat("was trained on ", gate.centroid.size(),
                                  " features, but the pool's features give ", dimension));
  }
  std::copy(weight.begin(), weight.end(), gate.weight.begin());
  gate.bias = bias[0];
  gate.tau = tau[0];
  double sum = gate.bias;
  for (const float value : weight) sum += value;
  for (const float value : gate.centroid) sum += value;
  if (!std::isfinite(sum) || std::isnan(gate.tau)) return Bad(path, "a value is not finite");
  return gate;
}

absl::Status ValidateCustomisation(const config::v1::Pool& pool) {
  if (!pool.has_customisation()) return absl::OkStatus();
  const config::v1::Customisation& config = pool.customisation();
  if (pool.granularity() == config::v1::Pool::ROW || !pool.cascade().first().empty()) {
    return Bad("customisation", "wanted granularity REQUEST and no cascade");
  }
  if (!FindExpert(pool, config.global_expert())) {
    return Bad("customisation.global_expert",
               absl::StrCat("\"", config.global_expert(), "\" is no expert of the pool"));
  }
  for (const auto& [tenant, local] : config.tenants()) {
    const std::string field = absl::StrCat("customisation.tenants.", tenant);
    if (!FindExpert(pool, local.expert()) || local.expert() == config.global_expert()) {
      return Bad(field, absl::StrCat("expert is \"", local.expert(),
                                     "\", wanted another expert of the pool"));
    }
    if (local.file().empty()) return Bad(field, "file is empty");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<const Customisation>> Customisation::Create(
    const config::v1::Pool& pool, size_t dimension) {
  PENSTOCK_RETURN_IF_ERROR(ValidateCustomisation(pool));
  auto made = absl::WrapUnique(new Customisation());
  made->global_ = *FindExpert(pool, pool.customisation().global_expert());
  made->is_local_.resize(static_cast<size_t>(pool.experts_size()), 0);
  for (const auto& [tenant, local] : pool.customisation().tenants()) {
    Local& item = made->tenants_[tenant];
    item.expert = *FindExpert(pool, local.expert());
    PENSTOCK_ASSIGN_OR_RETURN(item.gate, ReadLocalGate(local.file(), tenant, dimension));
    made->is_local_[item.expert] = 1;
  }
  return std::unique_ptr<const Customisation>(std::move(made));
}

const Customisation::Local* Customisation::Of(absl::string_view tenant) const {
  const auto found = tenants_.find(tenant);
  return found == tenants_.end() ? nullptr : &found->second;
}

}  // namespace penstock::router
