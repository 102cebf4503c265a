#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "google/protobuf/util/json_util.h"
#include "router_service/learning/decisions/logged_outcomes.h"
#include "router_service/learning/principals/feedback_cap.h"
#include "router_service/learning/text/line_reader.h"
#include "router_service/recording/answered_expert.h"
#include "router_service/recording/chain/log_reader.h"
#include "router_service/recording/decision_id.h"
#include "router_service/recording/decision_writer.h"

namespace penstock::router {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kShownBad = 20;

absl::Status Bad(absl::string_view field, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(field, field.empty() ? "" : ": ", problem));
}

// A report's key: tenants cannot report for each other.
std::string ReportKey(absl::string_view id, absl::string_view tenant) {
  return absl::StrCat(id, "|", tenant);
}

absl::Status CheckFeatures(const v1::Features& features) {
  for (const float value : features.values()) {
    if (!std::isfinite(value)) return Bad("features.values", "a value is not finite");
  }
  const bool dense = features.indices().empty() &&
                     features.values_size() == static_cast<int>(features.dimension());
  if (dense) return absl::OkStatus();
  if (features.indices_size() != features.values_size()) {
    return Bad("features", absl::StrCat(features.indices_size(), " indices, but ",
                                        features.values_size(), " values"));
  }
  for (int i = 0; i < features.indices_size(); ++i) {
    if (features.indices(i) >= features.dimension() ||
        (i > 0 && features.indices(i) <= features.indices(i - 1))) {
      return Bad("features.indices",
                 absl::StrCat("wanted rising ones below ", features.dimension()));
    }
  }
  return absl::OkStatus();
}

class Reader {
 public:
  explicit Reader(const LoggedOutcomesSource& source) : source_(source) {
    outcomes_.pool = source.pool;
    outcomes_.experts = source.experts;
  }

  absl::StatusOr<LoggedOutcomes> Read() {
    for (const std::string& file : source_.files) PENSTOCK_RETURN_IF_ERROR(ReadFile(file));
    if (!outcomes_.pool.empty() && source_.pool.empty() && other_pool_) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the log has decisions of pools ", outcomes_.pool, " and ", *other_pool_, ": name one"));
    }
    return Join();
  }

 private:
  struct Decided {
    LoggedOutcome outcome;
    std::string tenant;
  };

  // Counts the line as malformed; an error once there are too many.
  absl::Status NoteBad(const std::string& problem) {
    if (++outcomes_.bad_lines > source_.max_bad_lines) {
      return absl::InvalidArgumentError(
          source_.max_bad_lines == 0
              ? problem
              : absl::StrCat(problem, "; more than ", source_.max_bad_lines,
                             " lines are malformed"));
    }
    if (outcomes_.bad.size() < kShownBad) outcomes_.bad.push_back(problem);
    return absl::OkStatus();
  }

  // A log's folder. Where its chain is broken counts as one malformed line.
  absl::Status ReadFolder(const std::string& folder) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<LogReader> reader, LogReader::Open(folder));
    Record record;
    for (;;) {
      const absl::StatusOr<bool> more = reader->Next(record);
      if (absl::IsDataLoss(more.status())) {
        PENSTOCK_RETURN_IF_ERROR(NoteBad(std::string(more.status().message())));
        continue;
      }
      PENSTOCK_RETURN_IF_ERROR(more.status());
      if (!*more) return absl::OkStatus();
      if (record.kind != RecordKind::kDecision) continue;
      if (const absl::Status status = Take(record.content); !status.ok()) {
        PENSTOCK_RETURN_IF_ERROR(
            NoteBad(absl::StrCat(reader->where(), ": ", status.message())));
      }
    }
  }

  absl::Status ReadFile(const std::string& file) {
    if (IsLogFolder(file)) return ReadFolder(file);
    PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<LineReader> lines, LineReader::Open(file));
    absl::string_view line;
    bool cut = false;
    for (;;) {
      PENSTOCK_ASSIGN_OR_RETURN(const bool more, lines->Next(line, cut));
      if (!more) return absl::OkStatus();
      if (line.find_first_not_of(" \t\r") == absl::string_view::npos || IsEventLine(line)) continue;
      const absl::Status status =
          cut ? Bad("", absl::StrCat("longer than ", LineReader::kLongestLine, " bytes"))
              : Take(line);
      if (status.ok()) continue;
      PENSTOCK_RETURN_IF_ERROR(
          NoteBad(absl::StrCat(file, ":", lines->number(), ": ", status.message())));
    }
  }

  absl::Status Take(absl::string_view line) {
    if (IsEventLine(line)) return absl::OkStatus();
    v1::Decision decision;
    google::protobuf::util::JsonParseOptions options;
    options.ignore_unknown_fields = true;
    const auto parsed = google::protobuf::util::JsonStringToMessage(
        google::protobuf::StringPiece(line.data(), line.size()), &decision, options);
    if (!parsed.ok()) return Bad("", "no decision as JSON");
    PENSTOCK_RETURN_IF_ERROR(DecisionId::Parse(decision.id()).status());
    if (decision.has_reported_quality()) {
      const double quality = decision.reported_quality();
      if (!(quality >= 0 && quality <= 1)) {
        return Bad("reported_quality", absl::StrCat("is ", quality, ", wanted [0, 1]"));
      }
      reports_[ReportKey(decision.id(), decision.tenant())] = static_cast<float>(quality);
    }
    // A report's line repeats the decision without its features.
    if (!decision.has_features()) return absl::OkStatus();
    if (outcomes_.pool.empty()) outcomes_.pool = decision.pool();
    if (decision.pool() != outcomes_.pool) {
      ++outcomes_.other_pools;
      other_pool_ = std::make_unique<std::string>(decision.pool());
      return absl::OkStatus();
    }
    return TakeDecision(decision);
  }

  absl::Status TakeDecision(v1::Decision& decision) {
    PENSTOCK_RETURN_IF_ERROR(CheckFeatures(decision.features()));
    if (decided_.empty() && outcomes_.combined == 0) {
      outcomes_.dimension = decision.features().dimension();
    }
    if (decision.features().dimension() != outcomes_.dimension) {
      return Bad("features.dimension",
                 absl::StrCat("is ", decision.features().dimension(), ", but ", outcomes_.dimension,
                              " in earlier decisions"));
    }
    LoggedOutcome outcome;
    for (const v1::Candidate& candidate : decision.candidates()) {
      const size_t expert = ExpertOf(candidate.expert());
      if (expert == outcomes_.experts.size()) continue;
      outcome.predicted.resize(std::max(outcome.predicted.size(), expert + 1), kUnknown);
      outcome.predicted[expert] = static_cast<float>(candidate.quality());
    }
    const v1::Run* const run = AnsweredRun(decision);
    if (run == nullptr) {
      ++outcomes_.combined;
      return absl::OkStatus();
    }
    outcome.asked = ExpertOf(run->expert());
    if (outcome.asked == outcomes_.experts.size()) return absl::OkStatus();
    outcome.id = decision.id();
    const bool metered = !run->energy_method().empty() && run->energy_method() != "unknown";
    outcome.joules = metered ? static_cast<float>(run->energy_j()) : kUnknown;
    outcome.seconds = static_cast<float>(run->latency_ms() / 1e3);
    const std::optional<double> propensity = PropensityOf(decision, *run);
    outcome.propensity = propensity ? static_cast<float>(*propensity) : kUnknown;
    outcome.features = std::move(*decision.mutable_features());
    if (!ids_.insert(outcome.id).second) {
      return Bad("id", absl::StrCat(outcome.id, " was decided in an earlier line"));
    }
    decided_.push_back({std::move(outcome), decision.tenant()});
    return absl::OkStatus();
  }

  // experts.size(): one that was not asked for.
  size_t ExpertOf(const std::string& name) {
    std::vector<std::string>& experts = outcomes_.experts;
    const auto at = std::find(experts.begin(), experts.end(), name);
    if (at == experts.end() && source_.experts.empty()) {
      experts.push_back(name);
      return experts.size() - 1;
    }
    return static_cast<size_t>(at - experts.begin());
  }

  void KeepWithinShare(const std::vector<std::string>& tenants,
                       const std::vector<std::string>& ids) {
    const FeedbackCap cap = CapFeedback(tenants, ids, source_.most_tenant_share);
    if (cap.most_rows == 0) return;
    size_t kept = 0;
    for (size_t i = 0; i < cap.keep.size(); ++i) {
      if (!cap.keep[i]) continue;
      if (kept != i) outcomes_.rows[kept] = std::move(outcomes_.rows[i]);
      ++kept;
    }
    outcomes_.capped = outcomes_.rows.size() - kept;
    outcomes_.rows.resize(kept);
  }

  absl::StatusOr<LoggedOutcomes> Join() {
    std::vector<std::string> tenants, ids;
    for (Decided& decided : decided_) {
      // An administrator's word goes before the tenant's own.
      auto report = reports_.find(ReportKey(decided.outcome.id, ""));
      if (report == reports_.end()) {
        report = reports_.find(ReportKey(decided.outcome.id, decided.tenant));
      }
      if (report == reports_.end()) {
        ++outcomes_.unreported;
        continue;
      }
      decided.outcome.quality = report->second;
      tenants.push_back(decided.tenant);
      ids.push_back(decided.outcome.id);
      outcomes_.rows.push_back(std::move(decided.outcome));
    }
    KeepWithinShare(tenants, ids);
    if (outcomes_.rows.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(absl::StrJoin(source_.files, ","), ": no decision",
                       source_.pool.empty() ? "" : absl::StrCat(" of pool ", source_.pool),
                       " has features and a reported quality (", outcomes_.unreported,
                       " have no report; "
                       "decision_log.features writes features)"));
    }
    return std::move(outcomes_);
  }

  const LoggedOutcomesSource& source_;
  LoggedOutcomes outcomes_;
  std::vector<Decided> decided_;
  absl::flat_hash_set<std::string> ids_;
  absl::flat_hash_map<std::string, float> reports_;
  std::unique_ptr<std::string> other_pool_;
};

}  // namespace

absl::StatusOr<LoggedOutcomes> ReadLoggedOutcomes(const LoggedOutcomesSource& source) {
  return Reader(source).Read();
}

}  // namespace penstock::router
