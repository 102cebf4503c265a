#include "cli/report/feedback_file.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

using Json = nlohmann::json;

std::string Shown(const Json& value) {
  constexpr size_t kMost = 40;
  return value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, kMost);
}

absl::StatusOr<Feedback> ParseLine(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "wanted a JSON object with decision_id and quality, got ",
        json.is_discarded() ? "what is no JSON" : Shown(json)));
  }
  Feedback feedback;
  for (const auto& [key, value] : json.items()) {
    if (key == "decision_id") {
      if (!value.is_string()) {
        return absl::InvalidArgumentError(
            absl::StrCat("decision_id: wanted a string, got ", Shown(value)));
      }
      feedback.decision_id = value.get<std::string>();
    } else if (key == "quality") {
      if (!value.is_number()) {
        return absl::InvalidArgumentError(
            absl::StrCat("quality: wanted a number in [0, 1], got ", Shown(value)));
      }
      feedback.quality = value.get<double>();
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat(Shown(key), ": unknown, wanted decision_id and quality"));
    }
  }
  if (!json.contains("quality")) return absl::InvalidArgumentError("quality is missing");
  PENSTOCK_RETURN_IF_ERROR(CheckFeedback(feedback));
  return feedback;
}

}  // namespace

absl::Status CheckFeedback(const Feedback& feedback) {
  if (feedback.decision_id.empty()) return absl::InvalidArgumentError("decision_id is missing");
  if (!(feedback.quality >= 0 && feedback.quality <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("quality: wanted a number in [0, 1], got ", feedback.quality));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Feedback>> ReadFeedback(std::istream& text, const std::string& name) {
  std::vector<Feedback> all;
  size_t number = 0;
  for (std::string line; std::getline(text, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    absl::StatusOr<Feedback> feedback = ParseLine(line);
    if (!feedback.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ":", number, ": ", feedback.status().message()));
    }
    feedback->line = number;
    all.push_back(*std::move(feedback));
  }
  if (all.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        name, ": wanted lines of {\"decision_id\": ID, \"quality\": Q}, got none"));
  }
  return all;
}

}  // namespace penstock::cli
