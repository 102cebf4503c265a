#include "expert_service/importing/strict_json.h"

#include <filesystem>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/read_file.h"
#include "common/status_macros.h"

namespace penstock::expert {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kMaxDepth = 32;

}  // namespace

absl::StatusOr<json> ParseStrictJson(absl::string_view text) {
  std::string error;
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto look = [&](int depth, json::parse_event_t event, json& value) {
    if (!error.empty()) return false;  // what follows an error is dropped, not kept
    switch (event) {
      case json::parse_event_t::object_start:
        keys.emplace_back();
        [[fallthrough]];
      case json::parse_event_t::array_start:
        if (depth >= kMaxDepth) {
          error = absl::StrCat("wanted at most ", kMaxDepth, " levels, found more");
        }
        break;
      case json::parse_event_t::object_end:
        keys.pop_back();
        break;
      case json::parse_event_t::key:
        if (!keys.back().insert(value.get<std::string>()).second) {
          error = absl::StrCat("the key ", Said(value), " stands twice");
        }
        break;
      case json::parse_event_t::array_end:
      case json::parse_event_t::value:
        break;
    }
    return error.empty();
  };
  json document = json::parse(text.begin(), text.end(), look, /*allow_exceptions=*/false);
  if (!error.empty()) return absl::InvalidArgumentError(error);
  if (document.is_discarded()) return absl::InvalidArgumentError("is not JSON");
  if (!document.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat("wanted an object, found ", Said(document)));
  }
  return document;
}

absl::StatusOr<json> ReadStrictJson(const std::string& path, int64_t max_bytes) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) return absl::NotFoundError(absl::StrCat(path, " does not exist"));
  if (!fs::is_regular_file(status)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::string text,
                            ReadFile(path, static_cast<size_t>(max_bytes)));
  absl::StatusOr<json> document = ParseStrictJson(text);
  if (document.ok()) return document;
  return absl::Status(document.status().code(),
                      absl::StrCat(path, ": ", document.status().message()));
}

std::string Said(const json& value) {
  constexpr size_t kMost = 60;
  if (value.is_structured()) return value.is_object() ? "an object" : "a list";
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace);
  if (text.size() > kMost) text = absl::StrCat(text.substr(0, kMost), "...");
  return text;
}

}  // namespace penstock::expert
