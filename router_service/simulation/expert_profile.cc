#include "router_service/simulation/expert_profile.h"

#include <yaml-cpp/yaml.h>

#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/simulation/parse_yaml.h"

namespace penstock::router {
namespace {

struct NumberField {
  absl::string_view name;
  double ExpertProfile::* field;
};
constexpr NumberField kNumbers[] = {
    {"joules_per_request", &ExpertProfile::joules_per_request},
    {"joules_per_token", &ExpertProfile::joules_per_token},
    {"seconds_per_request", &ExpertProfile::seconds_per_request},
    {"seconds_per_token", &ExpertProfile::seconds_per_token},
    {"idle_watts", &ExpertProfile::idle_watts},
};
constexpr absl::string_view kKeys =
    "name, joules_per_request, joules_per_token, seconds_per_request, seconds_per_token, slots, "
    "idle_watts";

absl::Status Bad(absl::string_view file, const YAML::Node& node, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(file, ":", node.Mark().line + 1, ": ", problem));
}

absl::Status ReadField(absl::string_view file, const std::string& where, const std::string& key,
                       const YAML::Node& value, ExpertProfile& profile) {
  if (!value.IsScalar()) return Bad(file, value, absl::StrCat(where, key, ": wanted one value"));
  const std::string& text = value.Scalar();
  if (key == "name") {
    profile.name = text;
    return absl::OkStatus();
  }
  double number = 0;
  if (!absl::SimpleAtod(text, &number) || !std::isfinite(number) || number < 0) {
    return Bad(file, value,
               absl::StrCat(where, key, " is \"", text, "\", wanted a finite number of at least 0"));
  }
  if (key == "slots") {
    if (number != std::floor(number) || number > std::numeric_limits<uint32_t>::max()) {
      return Bad(file, value, absl::StrCat(where, key, " is ", text, ", wanted a whole number"));
    }
    profile.slots = static_cast<uint32_t>(number);
    return absl::OkStatus();
  }
  for (const NumberField& field : kNumbers) {
    if (key == field.name) {
      profile.*field.field = number;
      return absl::OkStatus();
    }
  }
  return Bad(file, value, absl::StrCat(where, key, ": unknown field, wanted one of ", kKeys));
}

absl::StatusOr<std::vector<ExpertProfile>> ReadRoot(absl::string_view file,
                                                    const YAML::Node& root) {
  if (!root.IsMap() || root.size() != 1 || !root["experts"] || !root["experts"].IsSequence()) {
    return Bad(file, root, "wanted a map with one key, experts: a list of profiles");
  }
  std::vector<ExpertProfile> profiles;
  for (const YAML::Node& node : root["experts"]) {
    const std::string where = absl::StrCat("experts[", profiles.size(), "].");
    if (!node.IsMap()) return Bad(file, node, absl::StrCat(where, " wanted a map of ", kKeys));
    ExpertProfile profile;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) return Bad(file, node, absl::StrCat(where, " wanted names"));
      PENSTOCK_RETURN_IF_ERROR(
          ReadField(file, where, entry.first.Scalar(), entry.second, profile));
    }
    if (profile.name.empty()) return Bad(file, node, absl::StrCat(where, "name is missing"));
    for (const ExpertProfile& other : profiles) {
      if (other.name == profile.name) {
        return Bad(file, node, absl::StrCat(where, "name: ", profile.name, " stands twice"));
      }
    }
    profiles.push_back(std::move(profile));
  }
  if (profiles.empty()) return Bad(file, root, "experts: wanted at least one");
  return profiles;
}

}  // namespace

absl::StatusOr<std::vector<ExpertProfile>> ParseExpertProfiles(absl::string_view file,
                                                               const std::string& text) {
  return ParseYaml(file, text, ReadRoot);
}

absl::StatusOr<std::vector<ExpertProfile>> ReadExpertProfiles(const std::string& file) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string text, ReadMaybeGzipped(file));
  return ParseExpertProfiles(file, text);
}

absl::StatusOr<std::vector<ExpertProfile>> InOrderOf(const OutcomeMatrix& outcomes,
                                                     absl::Span<const ExpertProfile> profiles) {
  std::vector<ExpertProfile> ordered;
  for (const std::string& expert : outcomes.experts) {
    for (const ExpertProfile& profile : profiles) {
      if (profile.name == expert) ordered.push_back(profile);
    }
    if (ordered.empty() || ordered.back().name != expert) {
      return absl::InvalidArgumentError(
          absl::StrCat("expert ", expert, " of the outcome table has no profile"));
    }
  }
  return ordered;
}

}  // namespace penstock::router
