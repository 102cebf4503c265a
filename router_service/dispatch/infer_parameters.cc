#include "router_service/dispatch/infer_parameters.h"

#include <cmath>
#include <limits>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace penstock::router {
namespace {

constexpr absl::string_view kPrefix = "penstock_";
constexpr absl::string_view kKnown =
    "penstock_cache, penstock_class, penstock_energy_budget_j, penstock_experts, penstock_explain, "
    "penstock_latency_budget_ms, penstock_max_experts, penstock_min_quality, penstock_objective";
constexpr int64_t kMaxExperts = 16;

std::string Describe(const ParameterValue& value) {
  if (const auto* v = std::get_if<bool>(&value)) return *v ? "bool true" : "bool false";
  if (const auto* v = std::get_if<int64_t>(&value)) return absl::StrCat("int64 ", *v);
  if (const auto* v = std::get_if<std::string>(&value)) return absl::StrCat("string \"", *v, "\"");
  if (const auto* v = std::get_if<double>(&value)) return absl::StrCat("double ", *v);
  if (const auto* v = std::get_if<uint64_t>(&value)) return absl::StrCat("uint64 ", *v);
  return "no value";
}

absl::Status Wrong(const Parameter& parameter, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat("parameter ", parameter.name, ": wanted ", wanted,
                                                 ", got ", Describe(parameter.value)));
}

// A double parameter takes integers too: clients have no float literal for "200".
std::optional<double> AsDouble(const ParameterValue& value) {
  if (const auto* v = std::get_if<double>(&value)) return *v;
  if (const auto* v = std::get_if<int64_t>(&value)) return static_cast<double>(*v);
  if (const auto* v = std::get_if<uint64_t>(&value)) return static_cast<double>(*v);
  return std::nullopt;
}

std::optional<int64_t> AsInt(const ParameterValue& value) {
  if (const auto* v = std::get_if<int64_t>(&value)) return *v;
  if (const auto* v = std::get_if<uint64_t>(&value)) {
    if (*v <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return static_cast<int64_t>(*v);
    }
  }
  return std::nullopt;
}

absl::StatusOr<double> NonNegative(const Parameter& parameter) {
  const std::optional<double> value = AsDouble(parameter.value);
  if (!value || !std::isfinite(*value) || *value < 0) {
    return Wrong(parameter, "a finite double >= 0");
  }
  return *value;
}

absl::StatusOr<std::vector<std::string>> ExpertNames(const Parameter& parameter) {
  const auto* text = std::get_if<std::string>(&parameter.value);
  if (text == nullptr) return Wrong(parameter, "a string of expert names, comma-separated");
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (absl::string_view part : absl::StrSplit(*text, ',')) {
    std::string name(absl::StripAsciiWhitespace(part));
    if (name.empty()) return Wrong(parameter, "expert names, comma-separated, none empty");
    if (!seen.insert(name).second) return Wrong(parameter, "expert names, each once");
    names.push_back(std::move(name));
  }
  if (names.size() > kMaxExperts) return Wrong(parameter, "at most 16 expert names");
  return names;
}

absl::Status ReadOurs(const Parameter& parameter, InferParameters& out) {
  const absl::string_view name = parameter.name;
  if (name == "penstock_latency_budget_ms") {
    PENSTOCK_ASSIGN_OR_RETURN(const double ms, NonNegative(parameter));
    out.latency_budget = std::min(out.latency_budget, absl::Milliseconds(ms));
  } else if (name == "penstock_energy_budget_j") {
    PENSTOCK_ASSIGN_OR_RETURN(out.energy_budget_j, NonNegative(parameter));
  } else if (name == "penstock_min_quality") {
    const std::optional<double> value = AsDouble(parameter.value);
    if (!value || !(*value >= 0 && *value <= 1)) return Wrong(parameter, "a double in [0, 1]");
    out.min_quality = *value;
  } else if (name == "penstock_objective") {
    const auto* text = std::get_if<std::string>(&parameter.value);
    if (text == nullptr || (*text != "quality" && *text != "energy" && *text != "latency")) {
      return Wrong(parameter, "one of the strings quality, energy, latency");
    }
    out.objective = *text;
  } else if (name == "penstock_max_experts") {
    const std::optional<int64_t> value = AsInt(parameter.value);
    if (!value || *value < 1 || *value > kMaxExperts) return Wrong(parameter, "an int64 in [1, 16]");
    out.max_experts = static_cast<uint32_t>(*value);
  } else if (name == "penstock_class") {
    const auto* text = std::get_if<std::string>(&parameter.value);
    if (text == nullptr || text->empty()) return Wrong(parameter, "a string, not empty");
    out.application_class = *text;
  } else if (name == "penstock_experts") {
    PENSTOCK_ASSIGN_OR_RETURN(out.forced_experts, ExpertNames(parameter));
  } else if (name == "penstock_cache") {
    const auto* text = std::get_if<std::string>(&parameter.value);
    if (text == nullptr || (*text != "use" && *text != "bypass")) {
      return Wrong(parameter, "one of the strings use, bypass");
    }
    // The gateway's cache acts on it.
  } else if (name == "penstock_explain") {
    const auto* flag = std::get_if<bool>(&parameter.value);
    if (flag == nullptr) return Wrong(parameter, "a bool");
    out.explain = *flag;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("parameter ", parameter.name, " is unknown; known are ", kKnown));
  }
  return absl::OkStatus();
}

// Triton's queue timeout in microseconds; 0 is its "none".
absl::Status ReadTimeout(const Parameter& parameter, InferParameters& out) {
  const std::optional<int64_t> value = AsInt(parameter.value);
  if (!value || *value < 0) return Wrong(parameter, "an int64 >= 0 (microseconds)");
  if (*value > 0) out.latency_budget = std::min(out.latency_budget, absl::Microseconds(*value));
  return absl::OkStatus();
}

absl::Status RefuseSequence(const Parameter& parameter) {
  if (const auto* text = std::get_if<std::string>(&parameter.value); text && text->empty()) {
    return absl::OkStatus();
  }
  const std::optional<int64_t> value = AsInt(parameter.value);
  if (value && *value == 0) return absl::OkStatus();
  return Wrong(parameter, "0 or \"\" (sequences are not supported)");
}

}  // namespace

absl::StatusOr<InferParameters> ParseInferParameters(const std::vector<Parameter>& parameters) {
  InferParameters out;
  for (const Parameter& parameter : parameters) {
    if (absl::StartsWith(parameter.name, kPrefix)) {
      PENSTOCK_RETURN_IF_ERROR(ReadOurs(parameter, out));
    } else if (parameter.name == "timeout") {
      PENSTOCK_RETURN_IF_ERROR(ReadTimeout(parameter, out));
    } else if (parameter.name == "sequence_id") {
      PENSTOCK_RETURN_IF_ERROR(RefuseSequence(parameter));
    }
  }
  return out;
}

}  // namespace penstock::router
