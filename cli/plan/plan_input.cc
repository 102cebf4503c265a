#include "cli/plan/plan_input.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/input/file_form.h"
#include "common/random.h"
#include "common/status_macros.h"

namespace penstock::cli {
namespace {

// A cascade is searched on fewer rows than a table may have; more change its thresholds little.
constexpr size_t kChainRows = 20000;

absl::StatusOr<std::vector<size_t>> Indices(const std::vector<std::string>& names,
                                            const std::vector<std::string>& experts,
                                            const char* what) {
  std::vector<size_t> indices;
  for (const std::string& name : names) {
    const auto at = std::find(experts.begin(), experts.end(), name);
    if (at == experts.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          what, " names \"", name, "\", but the experts are ", absl::StrJoin(experts, ", ")));
    }
    indices.push_back(static_cast<size_t>(at - experts.begin()));
  }
  return indices;
}

// `count` of `rows`, ascending; the same for the same seed.
std::vector<size_t> Sample(std::vector<size_t> rows, size_t count, uint64_t seed,
                           uint64_t sequence) {
  if (rows.size() <= count) return rows;
  CounterRandom random(seed, sequence);
  for (size_t i = 0; i < count; ++i) std::swap(rows[i], rows[i + random.Below(rows.size() - i)]);
  rows.resize(count);
  std::sort(rows.begin(), rows.end());
  return rows;
}

double MeanOf(const std::vector<float>& column, const std::vector<size_t>& rows) {
  double sum = 0, count = 0;
  for (const size_t x : rows) {
    if (std::isnan(column[x])) continue;
    sum += column[x];
    ++count;
  }
  return count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
}

double QuantileOf(const std::vector<float>& column, const std::vector<size_t>& rows, double q) {
  std::vector<double> known;
  for (const size_t x : rows) {
    if (!std::isnan(column[x])) known.push_back(column[x]);
  }
  if (known.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto at = static_cast<std::ptrdiff_t>(
      std::min(known.size() - 1.0, std::ceil(q * static_cast<double>(known.size()))));
  std::nth_element(known.begin(), known.begin() + at, known.end());
  return known[static_cast<size_t>(at)];
}

class Preparation {
 public:
  Preparation(const PlanInputOptions& options, PlanTable table, PlanProfile profile)
      : options_(options), table_(std::move(table)), profile_(std::move(profile)) {}

  absl::StatusOr<PlanInput> Run() {
    PENSTOCK_RETURN_IF_ERROR(ChooseExperts());
    PlanInput& in = input_;
    in.rows = table_.rows();
    in.told = options_.limits;
    in.skipped = table_.skipped;
    in.problems = table_.problems;
    in.idle_watts.assign(in.experts.size(), options_.idle_watts);
    for (size_t i = 0; i < in.experts.size(); ++i) {
      if (profiles_[i] != nullptr && profiles_[i]->idle_watts > 0) {
        in.idle_watts[i] = profiles_[i]->idle_watts;
      }
    }
    in.joules_known = in.latency_known = true;
    if (table_.rows() > 0) {
      for (size_t c = 0; c < table_.classes.size(); ++c) PENSTOCK_RETURN_IF_ERROR(AddClass(c));
    } else {
      PENSTOCK_RETURN_IF_ERROR(AddProfileClasses());
    }
    for (ClassInput& of : in.classes) PENSTOCK_RETURN_IF_ERROR(SetLimits(of));
    PENSTOCK_RETURN_IF_ERROR(CheckKnown());
    if (in.latency_known) {
      in.latency_s.assign(in.experts.size(), 0);
      for (const ClassInput& of : in.classes) {
        for (size_t i = 0; i < in.experts.size(); ++i) {
          in.latency_s[i] = std::max(in.latency_s[i], of.request.costs[i].latency_s);
        }
      }
    }
    AddChainSample();
    return std::move(input_);
  }

 private:
  absl::Status ChooseExperts() {
    std::vector<std::string> known = table_.experts;
    if (known.empty()) {
      for (const ExpertProfile& expert : profile_.experts) known.push_back(expert.name);
    }
    PENSTOCK_RETURN_IF_ERROR(Indices(options_.experts, known, "--experts").status());
    input_.experts = options_.experts.empty() ? known : options_.experts;
    for (const std::string& name : input_.experts) {
      const auto column = std::find(table_.experts.begin(), table_.experts.end(), name);
      columns_.push_back(static_cast<size_t>(column - table_.experts.begin()));
      const auto profile = std::find_if(profile_.experts.begin(), profile_.experts.end(),
                                        [&name](const auto& e) { return e.name == name; });
      profiles_.push_back(profile == profile_.experts.end() ? nullptr : &*profile);
    }
    return absl::OkStatus();
  }

  router::ExpertCost CostOf(size_t expert, double joules, double seconds) {
    const ExpertProfile* profile = profiles_[expert];
    if (profile != nullptr && profile->energy_j.has_value()) joules = *profile->energy_j;
    if (profile != nullptr && profile->latency_s.has_value()) seconds = *profile->latency_s;
    input_.joules_known = input_.joules_known && !std::isnan(joules);
    input_.latency_known = input_.latency_known && !std::isnan(seconds);
    return {std::isnan(joules) ? 0 : joules, std::isnan(seconds) ? 0 : seconds};
  }

  absl::Status AddClass(size_t index) {
    std::vector<size_t> rows;
    for (size_t x = 0; x < table_.rows(); ++x) {
      if (table_.class_of[x] == index) rows.push_back(x);
    }
    const std::vector<size_t> taken = Sample(rows, options_.sample, options_.seed, index);
    ClassInput& of = input_.classes.emplace_back();
    of.name = table_.classes[index];
    of.rows = rows.size();
    of.sampled = taken.size();
    for (size_t i = 0; i < input_.experts.size(); ++i) {
      const size_t column = columns_[i];
      const double quality = MeanOf(table_.quality[column], rows);
      const double joules = MeanOf(table_.joules[column], rows);
      const router::ExpertCost cost =
          CostOf(i, joules, QuantileOf(table_.seconds[column], rows, options_.latency_quantile));
      of.request.costs.push_back(cost);
      // Unknown answers count as the expert's mean in the class; a profile's joules scale the
      // table's.
      const double scale = std::isnan(joules) || joules <= 0 ? 0 : cost.energy_j / joules;
      for (const size_t x : taken) {
        const float q = table_.quality[column][x], j = table_.joules[column][x];
        of.quality.push_back(!std::isnan(q) ? q : std::isnan(quality) ? 0 : quality);
        of.joules.push_back(!std::isnan(j) && scale > 0 ? j * scale : cost.energy_j);
      }
    }
    return absl::OkStatus();
  }

  absl::Status AddProfileClasses() {
    const size_t kinds = profiles_[0]->quality.size();
    std::vector<double> quality;
    std::vector<router::ExpertCost> costs;
    for (size_t i = 0; i < input_.experts.size(); ++i) {
      const std::vector<double>& of = profiles_[i]->quality;
      if (of.empty() || of.size() != kinds) {
        return absl::InvalidArgumentError(absl::StrCat(
            options_.profile_file, ": experts.", input_.experts[i], ".quality has ", of.size(),
            " figures, wanted ", std::max<size_t>(kinds, 1),
            kinds == 0 ? " at least: there is no outcome table" : ", as the first expert has"));
      }
      quality.insert(quality.end(), of.begin(), of.end());
      constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
      costs.push_back(CostOf(i, kUnknown, kUnknown));
    }
    std::vector<std::string> names;
    for (const ClassProfile& of : profile_.classes) names.push_back(of.name);
    if (names.empty()) names.push_back("default");
    for (const std::string& name : names) {
      ClassInput& of = input_.classes.emplace_back();
      of.name = name;
      of.rows = of.sampled = kinds;
      of.quality = quality;
      of.request.costs = costs;
      for (const router::ExpertCost& cost : costs) {
        of.joules.insert(of.joules.end(), kinds, cost.energy_j);
      }
    }
    return absl::OkStatus();
  }

  absl::Status SetLimits(ClassInput& of) {
    of.values = options_.responsibility
                    ? router::ResponsibilityShares(of.quality, input_.experts.size(), of.sampled)
                    : of.quality;
    of.request.limits = options_.limits;
    std::vector<std::string> required = options_.required, forbidden = options_.forbidden;
    for (const ClassProfile& profile : profile_.classes) {
      if (profile.name != of.name) continue;
      if (profile.energy_limit_j.has_value()) {
        of.request.limits.energy_j = *profile.energy_limit_j;
        of.energy_from_profile = true;
      }
      if (profile.latency_limit_s.has_value()) {
        of.request.limits.latency_s = *profile.latency_limit_s;
        of.latency_from_profile = true;
      }
      required.insert(required.end(), profile.required.begin(), profile.required.end());
      forbidden.insert(forbidden.end(), profile.forbidden.begin(), profile.forbidden.end());
    }
    PENSTOCK_ASSIGN_OR_RETURN(of.request.required, Indices(required, input_.experts, "required"));
    PENSTOCK_ASSIGN_OR_RETURN(of.request.forbidden,
                              Indices(forbidden, input_.experts, "forbidden"));
    return absl::OkStatus();
  }

  absl::Status CheckKnown() const {
    for (const ClassInput& of : input_.classes) {
      if (of.request.limits.energy_j != router::SetLimits::kNone && !input_.joules_known) {
        return absl::FailedPreconditionError(
            "an energy limit needs joules of every expert: in the outcome table, or as energy_j "
            "in a profile");
      }
      if (of.request.limits.latency_s != router::SetLimits::kNone && !input_.latency_known) {
        return absl::FailedPreconditionError(
            "a latency limit needs seconds of every expert: in the outcome table, or as latency_s "
            "in a profile");
      }
    }
    return absl::OkStatus();
  }

  void AddChainSample() {
    if (table_.rows() == 0 || !input_.joules_known) return;
    std::vector<size_t> rows(table_.rows());
    std::iota(rows.begin(), rows.end(), size_t{0});
    // Of the rows that tell everything.
    rows.erase(std::remove_if(rows.begin(), rows.end(),
                              [this](size_t x) {
                                for (const size_t column : columns_) {
                                  if (std::isnan(table_.quality[column][x]) ||
                                      std::isnan(table_.joules[column][x]) ||
                                      std::isnan(table_.confidence[column][x])) {
                                    return true;
                                  }
                                }
                                return false;
                              }),
               rows.end());
    if (rows.size() < 2) return;
    rows = Sample(std::move(rows), kChainRows, options_.seed, table_.classes.size());
    router::ChainSample& chain = input_.chain.emplace();
    chain.experts = input_.experts.size();
    chain.rows = rows.size();
    for (const size_t column : columns_) {
      for (const size_t x : rows) {
        chain.quality.push_back(table_.quality[column][x]);
        chain.cost.push_back(table_.joules[column][x]);
        chain.score.push_back(table_.confidence[column][x]);
      }
    }
    if (input_.latency_known) chain.latency_s = input_.latency_s;
  }

  const PlanInputOptions& options_;
  const PlanTable table_;
  const PlanProfile profile_;
  std::vector<size_t> columns_;                 // of the table, for each expert
  std::vector<const ExpertProfile*> profiles_;  // for each expert, or null
  PlanInput input_;
};

}  // namespace

absl::StatusOr<PlanInput> PreparePlan(const PlanInputOptions& options) {
  if (options.outcomes_file.empty() && options.profile_file.empty()) {
    return absl::InvalidArgumentError("wanted --outcomes or --profile, or both");
  }
  if (options.sample == 0) return absl::InvalidArgumentError("--sample is 0, wanted at least 1");
  if (!(options.latency_quantile > 0 && options.latency_quantile <= 1)) {
    return absl::InvalidArgumentError("--latency_quantile: wanted above 0, at most 1");
  }
  PENSTOCK_RETURN_IF_ERROR(
      CheckFileForm("--outcomes", options.outcomes_file, FileForm::kJsonLines));
  PENSTOCK_RETURN_IF_ERROR(
      CheckFileForm("--profile", options.profile_file, FileForm::kPlainYaml));
  PlanTable table;
  PlanProfile profile;
  if (!options.outcomes_file.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(table, ReadPlanTable(options.outcomes_file, options.most_malformed));
  }
  if (!options.profile_file.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(profile, ReadPlanProfile(options.profile_file));
  }
  return Preparation(options, std::move(table), std::move(profile)).Run();
}

}  // namespace penstock::cli
