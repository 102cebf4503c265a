#include "router_service/guards/pool_guards.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/tensors/safetensors.h"
#include "router_service/gating/expert_columns.h"
#include "router_service/quality/artifact_checksum.h"

namespace penstock::router {
namespace {

std::vector<std::string> NamesOf(const config::v1::Pool& pool) {
  std::vector<std::string> names;
  for (const config::v1::PoolExpert& expert : pool.experts()) names.push_back(expert.name());
  return names;
}

absl::Status Bad(absl::string_view field, absl::string_view detail) {
  return absl::InvalidArgumentError(absl::StrCat("guards.", field, ": ", detail));
}

}  // namespace

absl::Status ValidateGuards(const config::v1::Pool& pool) {
  const config::v1::Guards& guards = pool.guards();
  const bool by_row = pool.granularity() == config::v1::Pool::ROW;
  if (guards.certify()) {
    if (pool.gate().topk_softmax().file().empty() || by_row ||
        pool.selection().score() != config::v1::Selection::GATE_MASS) {
      return Bad("certify",
                 "wanted granularity REQUEST, gate.topk_softmax with a file and selection.score "
                 "GATE_MASS");
    }
    if (!pool.selection().count_file().empty()) {
      return Bad(
          "certify",
          "does not go with selection.count_file: how many are asked depends on the features "
          "too, and the radius does not tell how far that holds");
    }
  }
  if (!guards.mandatory_experts().empty() && by_row) {
    return Bad("mandatory_experts", "wanted granularity REQUEST");
  }
  const std::vector<std::string> names = NamesOf(pool);
  for (const std::string& name : guards.mandatory_experts()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return Bad("mandatory_experts", absl::StrCat(name, " is no expert of the pool"));
    }
  }
  if (guards.disagreement() && (by_row || !pool.features().has_text())) {
    return Bad("disagreement", "wanted granularity REQUEST and features.text");
  }
  for (const std::string& name : guards.flagged_classes()) {
    if (pool.classes().count(name) == 0) {
      return Bad("flagged_classes", absl::StrCat(name, " is none of the pool's classes"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<PoolGuards> MakePoolGuards(const config::v1::Pool& pool, size_t dimension) {
  PoolGuards guards;
  const std::vector<std::string> names = NamesOf(pool);
  if (pool.guards().certify()) {
    const std::string& path = pool.gate().topk_softmax().file();
    PENSTOCK_ASSIGN_OR_RETURN(const auto file, OpenArtifact(path));
    PENSTOCK_ASSIGN_OR_RETURN(const LinearColumns columns,
                              ReadLinearColumns(*file, path, names, dimension));
    guards.certificate =
        std::make_unique<const StabilityCertificate>(columns.weight, columns.bias, dimension);
  }
  for (const std::string& name : pool.guards().mandatory_experts()) {
    guards.mandatory.resize(names.size(), 0);
    guards.mandatory[static_cast<size_t>(std::find(names.begin(), names.end(), name) -
                                         names.begin())] = 1;
  }
  guards.disagreement = pool.guards().disagreement();
  return guards;
}

}  // namespace penstock::router
