#include "router_service/simulation/outcome_file.h"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "router_service/learning/outcome_table.h"
#include "router_service/simulation/csv_table.h"

namespace penstock::router {
namespace {

using Cell = OutcomeMatrix::Cell;

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kMostExperts = 10'000;

struct Field {
  const char* name;
  float Cell::* value;
};
// The first is the one that every answer has.
constexpr Field kFields[] = {
    {"quality", &Cell::quality},
    {"joules", &Cell::joules},
    {"seconds", &Cell::seconds},
    {"tokens", &Cell::tokens},
    {"predicted_quality", &Cell::predicted_quality},
    {"predicted_joules", &Cell::predicted_joules},
    {"predicted_tokens", &Cell::predicted_tokens},
    {"prompt_tokens", &Cell::prompt_tokens},
};

Cell Unknown() {
  return {kUnknown, kUnknown, kUnknown, kUnknown, kUnknown, kUnknown, kUnknown, kUnknown};
}

absl::Status Set(const Field& field, double value, Cell& cell) {
  const bool is_quality = field.value == &Cell::quality;
  if (!std::isfinite(value) || value < 0 || (is_quality && value > 1)) {
    return absl::InvalidArgumentError(absl::StrCat(field.name, " is ", value, ", wanted ",
                                                   is_quality ? "0 to 1" : "at least 0"));
  }
  cell.*field.value = static_cast<float>(value);
  return absl::OkStatus();
}

// Answers as they come; the matrix is laid out once all experts are known.
class Collector {
 public:
  absl::Status Add(absl::string_view id, absl::string_view expert, const Cell& cell) {
    if (id.empty() || expert.empty()) {
      return absl::InvalidArgumentError("wanted an id and an expert");
    }
    const auto [e, new_expert] = experts_.try_emplace(expert, by_expert_.size());
    if (new_expert) {
      if (by_expert_.size() == kMostExperts) {
        return absl::InvalidArgumentError(absl::StrCat("more than ", kMostExperts, " experts"));
      }
      by_expert_.emplace_back();
      matrix_.experts.emplace_back(expert);
    }
    const auto [r, new_row] = rows_.try_emplace(id, matrix_.ids.size());
    if (new_row) matrix_.ids.emplace_back(id);
    std::vector<Cell>& column = by_expert_[e->second];
    if (column.size() <= r->second) column.resize(r->second + 1, Unknown());
    if (!std::isnan(column[r->second].quality)) {
      return absl::InvalidArgumentError(absl::StrCat(id, ", ", expert, " stands twice"));
    }
    column[r->second] = cell;
    return absl::OkStatus();
  }

  OutcomeMatrix Take() {
    const size_t experts = by_expert_.size();
    matrix_.cells.assign(matrix_.rows() * experts, Unknown());
    for (size_t e = 0; e < experts; ++e) {
      for (size_t row = 0; row < by_expert_[e].size(); ++row) {
        matrix_.cells[row * experts + e] = by_expert_[e][row];
      }
      std::vector<Cell>().swap(by_expert_[e]);
    }
    return std::move(matrix_);
  }

 private:
  OutcomeMatrix matrix_;
  absl::flat_hash_map<std::string, size_t> experts_, rows_;
  std::vector<std::vector<Cell>> by_expert_;
};

absl::Status ReadCsvOutcomes(absl::string_view file, absl::string_view text, Collector& collector,
                             MalformedRows& malformed) {
  size_t id = 0, expert = 0;
  std::vector<std::pair<size_t, Field>> columns;
  return ReadCsv(
      file, text,
      [&](const CsvHeader& header) -> absl::Status {
        PENSTOCK_ASSIGN_OR_RETURN(id, header.Require(file, "id"));
        PENSTOCK_ASSIGN_OR_RETURN(expert, header.Require(file, "expert"));
        PENSTOCK_RETURN_IF_ERROR(header.Require(file, kFields[0].name).status());
        for (const Field& field : kFields) {
          const size_t at = header.Find(field.name);
          if (at < header.columns.size()) columns.push_back({at, field});
        }
        return absl::OkStatus();
      },
      [&](absl::Span<const std::string> cells) -> absl::Status {
        Cell cell = Unknown();
        for (const auto& [at, field] : columns) {
          if (cells[at].empty()) continue;
          PENSTOCK_ASSIGN_OR_RETURN(const double value, ParseCell(field.name, cells[at], 0));
          PENSTOCK_RETURN_IF_ERROR(Set(field, value, cell));
        }
        // A blank quality: this expert was not asked.
        return std::isnan(cell.quality) ? absl::OkStatus()
                                        : collector.Add(cells[id], cells[expert], cell);
      },
      malformed);
}

absl::Status AddJsonLine(absl::string_view line, Collector& collector) {
  const auto json = nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
  if (!json.is_object()) return absl::InvalidArgumentError("not a JSON object");
  const auto id = json.find("id");
  const auto experts = json.find("experts");
  if (id == json.end() || (!id->is_string() && !id->is_number())) {
    return absl::InvalidArgumentError("wanted an id");
  }
  if (experts == json.end() || !experts->is_object() || experts->empty()) {
    return absl::InvalidArgumentError("wanted experts, an object of answers by name");
  }
  std::vector<std::pair<std::string, Cell>> answers;
  for (const auto& [name, answer] : experts->items()) {
    if (!answer.is_object()) {
      return absl::InvalidArgumentError(absl::StrCat("experts.", name, ": wanted an object"));
    }
    Cell cell = Unknown();
    for (const Field& field : kFields) {
      const auto value = answer.find(field.name);
      if (value == answer.end() || value->is_null()) continue;
      if (!value->is_number()) {
        return absl::InvalidArgumentError(
            absl::StrCat("experts.", name, ".", field.name, ": wanted a number"));
      }
      PENSTOCK_RETURN_IF_ERROR(Set(field, value->get<double>(), cell));
    }
    if (!std::isnan(cell.quality)) answers.push_back({name, cell});
  }
  const std::string key = id->is_string() ? id->get<std::string>() : id->dump();
  for (const auto& [name, cell] : answers) {
    PENSTOCK_RETURN_IF_ERROR(collector.Add(key, name, cell));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<OutcomeMatrix> ParseOutcomes(absl::string_view file, absl::string_view text,
                                            MalformedRows& malformed) {
  Collector collector;
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != absl::string_view::npos && text[first] == '{') {
    size_t line_number = 0;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      const absl::string_view line = text.substr(at, end - at);
      at = end + 1;
      ++line_number;
      if (line.find_first_not_of(" \t\r") == absl::string_view::npos) continue;
      const absl::Status added = AddJsonLine(line, collector);
      if (!added.ok()) {
        PENSTOCK_RETURN_IF_ERROR(malformed.Skip(file, line_number, added.message()));
      }
    }
  } else {
    PENSTOCK_RETURN_IF_ERROR(ReadCsvOutcomes(file, text, collector, malformed));
  }
  OutcomeMatrix matrix = collector.Take();
  if (matrix.rows() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(file, " has no answers"));
  }
  return matrix;
}

absl::StatusOr<OutcomeMatrix> ReadOutcomes(const std::string& file, MalformedRows& malformed) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string text, ReadMaybeGzipped(file));
  return ParseOutcomes(file, text, malformed);
}

absl::Status ReadEstimates(const std::string& file, OutcomeMatrix& outcomes,
                           MalformedRows& malformed) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string text, ReadMaybeGzipped(file));
  absl::flat_hash_map<std::string, size_t> rows, experts;
  for (size_t i = 0; i < outcomes.ids.size(); ++i) rows[outcomes.ids[i]] = i;
  for (size_t i = 0; i < outcomes.experts.size(); ++i) experts[outcomes.experts[i]] = i;
  std::vector<uint8_t> told(outcomes.cells.size(), 0);
  size_t id = 0, model = 0, q = 0, cost = 0;
  PENSTOCK_RETURN_IF_ERROR(ReadCsv(
      file, text,
      [&](const CsvHeader& header) -> absl::Status {
        PENSTOCK_ASSIGN_OR_RETURN(id, header.Require(file, "id"));
        PENSTOCK_ASSIGN_OR_RETURN(model, header.Require(file, "model"));
        PENSTOCK_ASSIGN_OR_RETURN(q, header.Require(file, "q"));
        PENSTOCK_ASSIGN_OR_RETURN(cost, header.Require(file, "cost"));
        return absl::OkStatus();
      },
      [&](absl::Span<const std::string> cells) -> absl::Status {
        const auto row = rows.find(cells[id]);
        const auto expert = experts.find(cells[model]);
        if (row == rows.end() || expert == experts.end()) return absl::OkStatus();
        // A linear model's quality may lie outside [0, 1].
        PENSTOCK_ASSIGN_OR_RETURN(const double quality, ParseCell("q", cells[q], -1e9));
        PENSTOCK_ASSIGN_OR_RETURN(const double joules, ParseCell("cost", cells[cost], 0));
        const size_t at = row->second * experts.size() + expert->second;
        outcomes.cells[at].predicted_quality = static_cast<float>(quality);
        outcomes.cells[at].predicted_joules = static_cast<float>(joules);
        told[at] = 1;
        return absl::OkStatus();
      },
      malformed));
  for (size_t at = 0; at < told.size(); ++at) {
    if (told[at] != 0 || std::isnan(outcomes.cells[at].quality)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        file, " has no estimate of ", outcomes.experts[at % outcomes.experts.size()],
        " for request ", outcomes.ids[at / outcomes.experts.size()]));
  }
  return absl::OkStatus();
}

absl::StatusOr<Completion> Complete(OutcomeMatrix& outcomes,
                                    absl::Span<const ExpertProfile> profiles) {
  std::vector<ExpertProfile> ordered;
  if (!profiles.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(ordered, InOrderOf(outcomes, profiles));
  }
  const size_t experts = outcomes.experts.size();
  Completion completion;
  for (size_t at = 0; at < outcomes.cells.size(); ++at) {
    Cell& cell = outcomes.cells[at];
    if (std::isnan(cell.quality)) continue;
    const double tokens = std::isnan(cell.tokens) ? 0 : cell.tokens;
    if (std::isnan(cell.joules)) {
      if (ordered.empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat("request ", outcomes.ids[at / experts], ": the joules of ",
                         outcomes.experts[at % experts], " are not told, and there is no profile"));
      }
      const ExpertProfile& profile = ordered[at % experts];
      cell.joules =
          static_cast<float>(profile.joules_per_request + profile.joules_per_token * tokens);
      ++completion.joules_from_profile;
    }
    if (std::isnan(cell.seconds)) {
      cell.seconds = 0;
      if (!ordered.empty()) {
        const ExpertProfile& profile = ordered[at % experts];
        cell.seconds =
            static_cast<float>(profile.seconds_per_request + profile.seconds_per_token * tokens);
        ++completion.seconds_from_profile;
      }
    }
    if (std::isnan(cell.tokens)) cell.tokens = 0;
    if (std::isnan(cell.prompt_tokens)) cell.prompt_tokens = 0;
  }
  for (size_t e = 0; e < experts; ++e) {
    const auto quality = static_cast<float>(outcomes.MeanQuality(e));
    const auto joules = static_cast<float>(outcomes.MeanJoules(e));
    for (size_t at = e; at < outcomes.cells.size(); at += experts) {
      Cell& cell = outcomes.cells[at];
      if (std::isnan(cell.quality)) continue;
      if (std::isnan(cell.predicted_quality) || std::isnan(cell.predicted_joules)) {
        ++completion.predictions_from_means;
      }
      if (std::isnan(cell.predicted_quality)) cell.predicted_quality = quality;
      if (std::isnan(cell.predicted_joules)) cell.predicted_joules = joules;
      if (std::isnan(cell.predicted_tokens)) cell.predicted_tokens = 0;
    }
  }
  return completion;
}

}  // namespace penstock::router
