#include "router_service/gating/sparse/validate_gate.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status_macros.h"

namespace penstock::router {
namespace {

absl::Status Wanted(const std::string& path, absl::string_view wanted, absl::string_view got) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": wanted ", wanted, ", got ", got));
}

absl::Status CheckFile(const std::string& path, absl::string_view gate, const std::string& file) {
  if (!file.empty()) return absl::OkStatus();
  return Wanted(path + ".file", absl::StrCat("a file of penstock train --gate ", gate), "none");
}

template <class Config>
absl::Status CheckK(const std::string& path, const Config& config, size_t experts) {
  if (!config.has_k() || (config.k() >= 1 && config.k() <= experts)) return absl::OkStatus();
  return Wanted(path + ".k", absl::StrCat("1 to ", experts), absl::StrCat(config.k()));
}

absl::Status CheckActivation(const std::string& path, const config::v1::ActivationGate& config) {
  const double tau = config.temperature();
  if (config.has_temperature() && !(tau > 0 && std::isfinite(tau))) {
    return Wanted(path + ".temperature", "above 0", absl::StrCat(tau));
  }
  if (config.activation() == config::v1::ActivationGate::IDENTITY && !config.has_temperature()) {
    return Wanted(path + ".activation",
                  "TANH, SIGMOID or GELU, or a fixed temperature beside IDENTITY: scaling a linear "
                  "gate and its learned temperature alike changes nothing, so that neither can be "
                  "estimated",
                  "IDENTITY");
  }
  return absl::OkStatus();
}

absl::Status CheckPhatgoose(const std::string& path, const config::v1::Phatgoose& config,
                            const std::vector<std::string>& expert_names) {
  for (const auto& [name, file] : config.vectors()) {
    if (std::find(expert_names.begin(), expert_names.end(), name) == expert_names.end()) {
      return Wanted(path + ".vectors", "experts of the pool", name);
    }
    if (file.empty()) {
      return Wanted(absl::StrCat(path, ".vectors.", name), "a file with its vector", "none");
    }
  }
  for (const std::string& name : expert_names) {
    if (config.file().empty() && !config.vectors().contains(name)) {
      return Wanted(path + ".vectors", absl::StrCat("a file for ", name, ", or file set"), "none");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateGate(const std::string& path, const config::v1::Gate& config,
                          const std::vector<std::string>& expert_names) {
  const size_t experts = expert_names.size();
  switch (config.policy_case()) {
    case config::v1::Gate::kTopkSoftmax:
    case config::v1::Gate::kRandom:
    case config::v1::Gate::POLICY_NOT_SET:
      return absl::OkStatus();
    case config::v1::Gate::kDselectK:
      PENSTOCK_RETURN_IF_ERROR(CheckK(path + ".dselect_k", config.dselect_k(), experts));
      return CheckFile(path + ".dselect_k", "dselect_k", config.dselect_k().file());
    case config::v1::Gate::kComet:
      PENSTOCK_RETURN_IF_ERROR(CheckK(path + ".comet", config.comet(), experts));
      return CheckFile(path + ".comet", "comet", config.comet().file());
    case config::v1::Gate::kActivation:
      PENSTOCK_RETURN_IF_ERROR(CheckK(path + ".activation", config.activation(), experts));
      PENSTOCK_RETURN_IF_ERROR(CheckActivation(path + ".activation", config.activation()));
      return CheckFile(path + ".activation", "activation", config.activation().file());
    case config::v1::Gate::kDenseToSparse: {
      const config::v1::DenseToSparse& gate = config.dense_to_sparse();
      PENSTOCK_RETURN_IF_ERROR(CheckK(path + ".dense_to_sparse", gate, experts));
      if (gate.has_theta() && !(gate.theta() >= 0 && gate.theta() < 1)) {
        return Wanted(path + ".dense_to_sparse.theta", "at least 0 and below 1",
                      absl::StrCat(gate.theta()));
      }
      return CheckFile(path + ".dense_to_sparse", "dense_to_sparse", gate.file());
    }
    case config::v1::Gate::kPhatgoose:
      PENSTOCK_RETURN_IF_ERROR(CheckK(path + ".phatgoose", config.phatgoose(), experts));
      return CheckPhatgoose(path + ".phatgoose", config.phatgoose(), expert_names);
    case config::v1::Gate::kMixer:
      return CheckFile(path + ".mixer", "mixer", config.mixer().file());
  }
  return absl::OkStatus();
}

}  // namespace penstock::router
