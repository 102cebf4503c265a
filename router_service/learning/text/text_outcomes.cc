#include "router_service/learning/text/text_outcomes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/sha256.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "router_service/features/text_features.h"
#include "router_service/learning/text/line_reader.h"

namespace penstock::router {
namespace {

using Json = nlohmann::json;

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kShownBad = 20;
// The library prints and frees values recursively: hostile nesting would overflow the stack.
constexpr int kMostNested = 32;
constexpr size_t kMostExperts = 4096;
constexpr size_t kLongestGroup = 64;
// In order of preference as the cost.
constexpr std::array<const char*, 3> kFigures = {"joules", "out_tokens", "seconds"};
constexpr size_t kTokens = 1;

struct Cell {
  uint32_t row = 0, expert = 0;
  float quality = kUnknown;
  std::array<float, kFigures.size()> figures = {kUnknown, kUnknown, kUnknown};
};

std::string Shown(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 40) text = text.substr(0, 40) + "...";
  return text;
}

absl::Status Bad(absl::string_view field, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(field, field.empty() ? "" : ": ", problem));
}

absl::StatusOr<float> Number(const Json& value, const std::string& field, double largest) {
  const double number = value.is_number() ? value.get<double>() : -1;
  if (number >= 0 && number <= largest) return static_cast<float>(number);
  return Bad(field, absl::StrCat(largest == 1 ? "wanted a number in [0, 1], found "
                                              : "wanted a number not below 0, found ",
                                 Shown(value)));
}

absl::StatusOr<std::string> PromptOf(const Json& line) {
  for (const char* field : {"prompt", "input"}) {
    const auto found = line.find(field);
    if (found == line.end()) continue;
    const Json* text = &*found;
    if (text->is_object() && text->size() == 1) text = &*text->begin();
    if (text->is_array() && text->size() == 1) text = &(*text)[0];
    if (!text->is_string()) return Bad(field, absl::StrCat("wanted a text, found ", Shown(*found)));
    return text->get<std::string>();
  }
  return Bad("", "has neither \"prompt\" nor \"input\"");
}

// One line, read as a whole before anything of it is taken.
struct Row {
  std::string prompt, group;
  std::vector<std::pair<std::string, Cell>> cells;
};

absl::StatusOr<Row> ParseRow(absl::string_view text) {
  bool too_deep = false;
  const auto within_depth = [&too_deep](int depth, Json::parse_event_t, const Json&) {
    too_deep |= depth > kMostNested;
    return depth <= kMostNested;
  };
  const Json line =
      Json::parse(text.data(), text.data() + text.size(), within_depth, /*exceptions=*/false);
  if (line.is_discarded() || too_deep || !line.is_object()) return Bad("", "no JSON object");
  Row row;
  PENSTOCK_ASSIGN_OR_RETURN(row.prompt, PromptOf(line));
  if (const auto group = line.find("group"); group != line.end() && !group->is_null()) {
    row.group = group->is_string() ? group->get<std::string>() : Shown(*group);
  } else {
    // Only compared and hashed: a long prompt need not be kept for it.
    row.group = row.prompt.size() > kLongestGroup ? Sha256Hex(row.prompt) : row.prompt;
  }
  const auto experts = line.find("experts");
  if (experts == line.end() || !experts->is_object()) {
    return Bad("experts", experts == line.end()
                              ? "missing"
                              : absl::StrCat("wanted an object, found ", Shown(*experts)));
  }
  for (const auto& [name, value] : experts->items()) {
    const std::string field = absl::StrCat("experts.", name);
    if (!value.is_object()) {
      return Bad(field, absl::StrCat("wanted an object, found ", Shown(value)));
    }
    Cell cell;
    const auto quality = value.find("quality");
    if (quality == value.end()) return Bad(field + ".quality", "missing");
    if (quality->is_boolean()) {
      cell.quality = quality->get<bool>() ? 1 : 0;
    } else if (!quality->is_null()) {
      PENSTOCK_ASSIGN_OR_RETURN(cell.quality, Number(*quality, field + ".quality", 1));
    }
    for (size_t i = 0; i < kFigures.size(); ++i) {
      const auto figure = value.find(kFigures[i]);
      if (figure == value.end() || figure->is_null()) continue;
      PENSTOCK_ASSIGN_OR_RETURN(
          cell.figures[i], Number(*figure, absl::StrCat(field, ".", kFigures[i]), 1e30));
    }
    row.cells.emplace_back(name, cell);
  }
  return row;
}

class Reader {
 public:
  Reader(const TextOutcomesSource& source, TextFeatures features)
      : source_(source), features_(std::move(features)) {
    outcomes_.experts = source.experts;
    outcomes_.counts.columns = features_.sparse_dimension();
    outcomes_.dense_dimension = features_.dimension();
  }

  absl::StatusOr<TextOutcomes> Read() {
    PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<LineReader> lines,
                              LineReader::Open(source_.file));
    absl::string_view line;
    bool cut = false;
    for (;;) {
      PENSTOCK_ASSIGN_OR_RETURN(const bool more, lines->Next(line, cut));
      if (!more) break;
      if (line.find_first_not_of(" \t\r") == absl::string_view::npos) continue;
      absl::Status status;
      if (cut) {
        status = Bad("", absl::StrCat("longer than ", LineReader::kLongestLine, " bytes"));
      } else {
        status = Take(line);
      }
      if (status.ok()) continue;
      const std::string problem =
          absl::StrCat(source_.file, ":", lines->number(), ": ", status.message());
      if (++outcomes_.bad_rows > source_.max_bad_rows) {
        return absl::InvalidArgumentError(
            source_.max_bad_rows == 0
                ? problem
                : absl::StrCat(problem, "; more than max_bad_rows ", source_.max_bad_rows,
                               " rows are malformed"));
      }
      if (outcomes_.bad.size() < kShownBad) outcomes_.bad.push_back(problem);
    }
    if (outcomes_.rows() == 0) {
      return absl::InvalidArgumentError(absl::StrCat(source_.file, " has no outcomes"));
    }
    return Finish();
  }

 private:
  absl::Status Take(absl::string_view line) {
    PENSTOCK_ASSIGN_OR_RETURN(Row row, ParseRow(line));
    std::vector<std::string>& names = outcomes_.experts;
    for (auto& [name, cell] : row.cells) {
      auto at = std::find(names.begin(), names.end(), name);
      if (at == names.end()) {
        if (!source_.experts.empty()) continue;
        if (names.size() >= kMostExperts) {
          return Bad(absl::StrCat("experts.", name),
                     absl::StrCat("the ", kMostExperts + 1, "th expert of the table"));
        }
        at = names.insert(names.end(), name);
      }
      cell.row = static_cast<uint32_t>(outcomes_.rows());
      cell.expert = static_cast<uint32_t>(at - names.begin());
      cells_.push_back(cell);
    }
    features_.ExtractText(row.prompt, buffer_);
    KeepPrompt(std::move(row.prompt));
    outcomes_.counts.Add(buffer_.indices, buffer_.values);
    outcomes_.dense.insert(outcomes_.dense.end(), buffer_.dense.begin(), buffer_.dense.end());
    outcomes_.groups.push_back(std::move(row.group));
    return absl::OkStatus();
  }

  // A uniform sample without knowing how many there will be: Vitter 1985, algorithm R.
  void KeepPrompt(std::string prompt) {
    std::vector<std::string>& kept = outcomes_.prompts;
    if (kept.size() < source_.keep_prompts) {
      kept.push_back(std::move(prompt));
    } else if (!kept.empty()) {
      const uint64_t place = sample_.Below(outcomes_.rows() + 1);
      if (place < kept.size()) kept[place] = std::move(prompt);
    }
  }

  absl::StatusOr<TextOutcomes> Finish() {
    const size_t experts = outcomes_.experts.size(), all = experts * outcomes_.rows();
    std::array<size_t, kFigures.size()> told = {};
    std::vector<size_t> known(experts, 0);
    size_t qualities = 0;
    for (const Cell& cell : cells_) {
      if (std::isnan(cell.quality)) continue;
      ++qualities;
      ++known[cell.expert];
      for (size_t i = 0; i < kFigures.size(); ++i) told[i] += !std::isnan(cell.figures[i]);
    }
    for (size_t e = 0; e < experts; ++e) {
      if (known[e] > 0) continue;
      return absl::InvalidArgumentError(absl::StrCat(source_.file, " tells no quality of expert \"",
                                                     outcomes_.experts[e], "\""));
    }
    if (experts == 0) {
      return absl::InvalidArgumentError(absl::StrCat(source_.file, " names no experts"));
    }
    size_t unit = 0;
    while (unit < kFigures.size() && told[unit] < qualities) ++unit;
    if (unit < kFigures.size()) outcomes_.cost_unit = kFigures[unit];
    outcomes_.quality.assign(all, kUnknown);
    outcomes_.out_tokens.assign(all, kUnknown);
    outcomes_.cost.assign(all, kUnknown);
    for (const Cell& cell : cells_) {
      const size_t at = outcomes_.At(cell.expert, cell.row);
      outcomes_.quality[at] = cell.quality;
      outcomes_.out_tokens[at] = cell.figures[kTokens];
      if (unit < kFigures.size()) outcomes_.cost[at] = cell.figures[unit];
    }
    return std::move(outcomes_);
  }

  const TextOutcomesSource& source_;
  const TextFeatures features_;
  TextOutcomes outcomes_;
  std::vector<Cell> cells_;
  FeatureBuffer buffer_;
  CounterRandom sample_{1, 0};
};

}  // namespace

FeatureView TextOutcomes::Features(size_t row) const {
  return {absl::MakeConstSpan(dense).subspan(row * dense_dimension, dense_dimension),
          counts.Columns(row), counts.Values(row)};
}

absl::StatusOr<TextOutcomes> ReadTextOutcomes(const TextOutcomesSource& source) {
  PENSTOCK_ASSIGN_OR_RETURN(TextFeatures features, TextFeatures::FromSettings(source.features));
  return Reader(source, std::move(features)).Read();
}

int FoldOf(absl::string_view group, int folds) {
  uint64_t number = 0;
  for (const char digit : Sha256Hex(group).substr(0, 8)) {
    number = number * 16 + static_cast<uint64_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
  }
  return static_cast<int>(number % static_cast<uint64_t>(folds));
}

}  // namespace penstock::router
