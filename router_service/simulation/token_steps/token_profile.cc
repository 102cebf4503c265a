#include "router_service/simulation/token_steps/token_profile.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/simulation/parse_yaml.h"

namespace penstock::router {
namespace {

constexpr char kKeys[] = "name, servers, batch_limit, steps, prefill, joules_per_prompt_token";

// Through `points`, whose places `at` ascend.
template <typename Point>
double Line(const std::vector<Point>& points, double Point::*at, double Point::*value, double x) {
  if (points.empty()) return 0;
  if (points.size() == 1) return points[0].*value;
  size_t right = 1;
  while (right + 1 < points.size() && points[right].*at < x) ++right;
  const Point& a = points[right - 1];
  const Point& b = points[right];
  const double y = a.*value + (b.*value - a.*value) * (x - a.*at) / (b.*at - a.*at);
  // Before the first point the line may fall below what nothing goes below.
  return std::max(0.0, y);
}

absl::Status Bad(absl::string_view file, const YAML::Node& node, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(file, ":", node.Mark().line + 1, ": ", problem));
}

absl::StatusOr<double> Number(absl::string_view file, const std::string& where,
                              const YAML::Node& node) {
  double number = 0;
  if (!node.IsScalar() || !absl::SimpleAtod(node.Scalar(), &number) || !std::isfinite(number) ||
      number < 0) {
    return Bad(file, node,
               absl::StrCat(where, " is \"", node.IsScalar() ? node.Scalar() : "",
                            "\", wanted a finite number of at least 0"));
  }
  return number;
}

absl::StatusOr<uint32_t> Count(absl::string_view file, const std::string& where,
                               const YAML::Node& node) {
  PENSTOCK_ASSIGN_OR_RETURN(const double number, Number(file, where, node));
  if (number != std::floor(number) || number < 1 || number > 65536) {
    return Bad(file, node,
               absl::StrCat(where, " is ", number, ", wanted a whole number in [1, 65536]"));
  }
  return static_cast<uint32_t>(number);
}

// Field of a point by its name; the first one is its place.
template <typename Point>
struct PointField {
  const char* name;
  double Point::*value;
};

template <typename Point>
absl::Status ReadPoints(absl::string_view file, const std::string& where, const YAML::Node& node,
                        absl::Span<const PointField<Point>> fields, std::vector<Point>& points) {
  if (!node.IsSequence() || node.size() == 0) {
    return Bad(file, node, absl::StrCat(where, ": wanted a list of points"));
  }
  for (const YAML::Node& item : node) {
    const std::string here = absl::StrCat(where, "[", points.size(), "]");
    if (!item.IsMap() || !item[fields[0].name]) {
      return Bad(file, item, absl::StrCat(here, ": wanted a map with ", fields[0].name));
    }
    Point point;
    for (const auto& entry : item) {
      const auto field = std::find_if(fields.begin(), fields.end(), [&](const auto& f) {
        return entry.first.IsScalar() && entry.first.Scalar() == f.name;
      });
      if (field == fields.end()) {
        return Bad(file, entry.first, absl::StrCat(here, ": a field that is not known"));
      }
      PENSTOCK_ASSIGN_OR_RETURN(point.*(field->value),
                                Number(file, absl::StrCat(here, ".", field->name), entry.second));
    }
    const double least = points.empty() ? 1 : points.back().*(fields[0].value);
    const double at = point.*(fields[0].value);
    if (at < least || (!points.empty() && at == least)) {
      return Bad(file, item,
                 absl::StrCat(here, ".", fields[0].name, " is ", at, ", wanted ",
                              points.empty() ? "at least " : "more than ", least));
    }
    points.push_back(point);
  }
  return absl::OkStatus();
}

constexpr PointField<TokenProfile::Step> kStepFields[] = {{"batch", &TokenProfile::Step::batch},
                                                          {"seconds", &TokenProfile::Step::seconds},
                                                          {"joules", &TokenProfile::Step::joules}};
constexpr PointField<TokenProfile::Prefill> kPrefillFields[] = {
    {"tokens", &TokenProfile::Prefill::tokens}, {"seconds", &TokenProfile::Prefill::seconds}};

absl::Status ReadField(absl::string_view file, const std::string& where, const std::string& key,
                       const YAML::Node& value, TokenProfile& profile) {
  const std::string here = absl::StrCat(where, key);
  if (key == "name") {
    if (!value.IsScalar()) return Bad(file, value, absl::StrCat(here, ": wanted a name"));
    profile.name = value.Scalar();
  } else if (key == "servers") {
    PENSTOCK_ASSIGN_OR_RETURN(profile.servers, Count(file, here, value));
  } else if (key == "batch_limit") {
    PENSTOCK_ASSIGN_OR_RETURN(profile.batch_limit, Count(file, here, value));
  } else if (key == "joules_per_prompt_token") {
    PENSTOCK_ASSIGN_OR_RETURN(profile.joules_per_prompt_token, Number(file, here, value));
  } else if (key == "steps") {
    return ReadPoints<TokenProfile::Step>(file, here, value, kStepFields, profile.steps);
  } else if (key == "prefill") {
    return ReadPoints<TokenProfile::Prefill>(file, here, value, kPrefillFields, profile.prefills);
  } else {
    return Bad(file, value, absl::StrCat(here, ": unknown field, wanted one of ", kKeys));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TokenProfile>> ReadRoot(absl::string_view file, const YAML::Node& root) {
  if (!root.IsMap() || root.size() != 1 || !root["experts"] || !root["experts"].IsSequence()) {
    return Bad(file, root, "wanted a map with one key, experts: a list of profiles");
  }
  std::vector<TokenProfile> profiles;
  for (const YAML::Node& node : root["experts"]) {
    const std::string where = absl::StrCat("experts[", profiles.size(), "].");
    if (!node.IsMap()) return Bad(file, node, absl::StrCat(where, " wanted a map of ", kKeys));
    TokenProfile profile;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) return Bad(file, node, absl::StrCat(where, " wanted names"));
      PENSTOCK_RETURN_IF_ERROR(ReadField(file, where, entry.first.Scalar(), entry.second, profile));
    }
    if (profile.name.empty()) return Bad(file, node, absl::StrCat(where, "name is missing"));
    if (profile.steps.empty() || !(profile.StepSeconds(1) > 0)) {
      return Bad(file, node, absl::StrCat(where, "steps: wanted points, the first above 0 s"));
    }
    for (const TokenProfile& other : profiles) {
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

double TokenProfile::StepSeconds(double batch) const {
  return Line(steps, &Step::batch, &Step::seconds, batch);
}

double TokenProfile::StepJoules(double batch) const {
  return Line(steps, &Step::batch, &Step::joules, batch);
}

double TokenProfile::PrefillSeconds(double tokens) const {
  return Line(prefills, &Prefill::tokens, &Prefill::seconds, tokens);
}

double TokenProfile::UnloadedSeconds(double prompt_tokens, double output_tokens) const {
  return PrefillSeconds(prompt_tokens) + StepSeconds(1) * std::max(0.0, output_tokens - 1);
}

double TokenProfile::Capacity(double prompt_tokens, double output_tokens) const {
  const double batch = batch_limit;
  const double each =
      PrefillSeconds(prompt_tokens) + StepSeconds(batch) * std::max(0.0, output_tokens - 1) / batch;
  return static_cast<double>(servers) / each;
}

absl::StatusOr<std::vector<TokenProfile>> ParseTokenProfiles(absl::string_view file,
                                                             const std::string& text) {
  return ParseYaml(file, text, ReadRoot);
}

absl::StatusOr<std::vector<TokenProfile>> ReadTokenProfiles(const std::string& file) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string text, ReadMaybeGzipped(file));
  return ParseTokenProfiles(file, text);
}

absl::StatusOr<std::vector<TokenProfile>> InOrderOf(absl::Span<const std::string> experts,
                                                    absl::Span<const TokenProfile> profiles) {
  std::vector<TokenProfile> ordered;
  for (const std::string& expert : experts) {
    const auto found = std::find_if(profiles.begin(), profiles.end(),
                                    [&](const TokenProfile& p) { return p.name == expert; });
    if (found == profiles.end()) {
      return absl::InvalidArgumentError(absl::StrCat("expert ", expert, " has no token profile"));
    }
    ordered.push_back(*found);
  }
  return ordered;
}

}  // namespace penstock::router
