#include "bench/planning/routing_data.h"

#include <zlib.h>

#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace penstock::router {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double Number(const std::string& cell) {
  double value = 0;
  return absl::SimpleAtod(cell, &value) ? value : kUnknown;
}

absl::StatusOr<std::string> ReadGzipped(const std::string& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (file == nullptr) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  std::string text;
  std::vector<char> buffer(1 << 20);
  while (true) {
    const int read = gzread(file.get(), buffer.data(), static_cast<unsigned>(buffer.size()));
    if (read < 0) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
    if (read == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(read));
  }
}

struct Card {
  double joules_per_token = kUnknown;
  double seconds_per_token = kUnknown;
  bool chat = false;
};

absl::StatusOr<std::vector<std::vector<std::string>>> ReadCells(const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string text, ReadGzipped(path));
  std::vector<std::vector<std::string>> lines;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    lines.push_back(SplitCells(std::string(line)));
  }
  if (lines.size() < 2) return absl::InvalidArgumentError(absl::StrCat(path, " has no rows"));
  return lines;
}

}  // namespace

std::vector<std::string> SplitCells(const std::string& line) { return absl::StrSplit(line, ','); }

absl::StatusOr<RoutingData> ReadRoutingData(const std::string& folder, const std::string& set,
                                            bool prompts) {
  const std::string base = absl::StrCat(folder, "/routing/", set);
  PENSTOCK_ASSIGN_OR_RETURN(const auto cards, ReadCells(folder + "/calibration/model_cards.csv"));
  PENSTOCK_ASSIGN_OR_RETURN(const auto scores, ReadCells(base + ".scores.csv.gz"));
  PENSTOCK_ASSIGN_OR_RETURN(const auto tokens, ReadCells(base + ".out_tokens.csv.gz"));
  std::map<std::string, size_t> column;
  for (size_t i = 0; i < cards[0].size(); ++i) column[cards[0][i]] = i;
  std::map<std::string, Card> card_of;
  for (const auto& card : cards) {
    if (card[column["set"]] != set) continue;
    card_of[card[column["model"]]] = {Number(card[column["joules_per_out_token_h100_b32"]]),
                                      Number(card[column["median_itl_ms_h100_b32"]]) / 1000,
                                      card[column["kind"]].rfind("base", 0) != 0};
  }
  if (scores[0] != tokens[0] || scores.size() != tokens.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(base, ": scores and out_tokens differ in shape"));
  }
  RoutingData data;
  for (size_t row = 1; row < scores.size(); ++row) data.ids.push_back(scores[row][0]);
  for (size_t i = 1; i < scores[0].size(); ++i) {
    const auto card = card_of.find(scores[0][i]);
    if (card == card_of.end() || std::isnan(card->second.joules_per_token)) continue;
    data.models.push_back(scores[0][i]);
    data.is_chat.push_back(card->second.chat);
    for (size_t row = 1; row < scores.size(); ++row) {
      const double count = Number(tokens[row][i]);
      data.score.push_back(Number(scores[row][i]));
      data.joules.push_back(count * card->second.joules_per_token);
      data.seconds.push_back(count * card->second.seconds_per_token);
    }
  }
  if (!prompts) return data;
  PENSTOCK_ASSIGN_OR_RETURN(const std::string text, ReadGzipped(base + ".prompts.jsonl.gz"));
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const auto json = nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
    if (json.is_discarded() || !json.contains("prompt")) {
      return absl::InvalidArgumentError(
          absl::StrCat(base, ".prompts.jsonl.gz: a line has no prompt"));
    }
    data.prompts.push_back(json["prompt"].get<std::string>());
  }
  if (data.prompts.size() != data.rows()) {
    return absl::InvalidArgumentError(absl::StrCat(base, ": prompts and scores differ in number"));
  }
  return data;
}

}  // namespace penstock::router
