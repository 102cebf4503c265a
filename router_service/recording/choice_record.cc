#include "router_service/recording/choice_record.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"

namespace penstock::router {
namespace {

void Write(absl::Span<const double> column, google::protobuf::RepeatedField<double>& to) {
  to.Add(column.begin(), column.end());
}

std::optional<Exclusion> ExclusionOf(absl::string_view name) {
  for (int i = 0; i <= static_cast<int>(Exclusion::kNonFinite); ++i) {
    const auto exclusion = static_cast<Exclusion>(i);
    if (ExclusionName(exclusion) == name) return exclusion;
  }
  return std::nullopt;
}

absl::Status CheckExperts(absl::string_view field,
                          const google::protobuf::RepeatedField<uint32_t>& ids, size_t experts) {
  for (const uint32_t id : ids) {
    if (id < experts) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": wanted experts below ", experts, ", got ", id));
  }
  return absl::OkStatus();
}

}  // namespace

absl::string_view VerdictName(SelectionVerdict verdict) {
  switch (verdict) {
    case SelectionVerdict::kChosen:
      return "chosen";
    case SelectionVerdict::kDegraded:
      return "degraded";
    case SelectionVerdict::kNoExpert:
      return "no expert";
    case SelectionVerdict::kInfeasible:
      return "infeasible";
    case SelectionVerdict::kInfeasibleNow:
      return "infeasible now";
  }
  return "";
}

absl::string_view ObjectiveName(Objective objective) {
  switch (objective) {
    case Objective::kQuality:
      return "quality";
    case Objective::kEnergy:
      return "energy";
    case Objective::kLatency:
      return "latency";
  }
  return "";
}

void WriteCandidates(const CandidateColumns& candidates, v1::ChoiceRecord& record) {
  Write(candidates.score(), *record.mutable_score());
  Write(candidates.quality(), *record.mutable_quality());
  Write(candidates.weight(), *record.mutable_weight());
  Write(candidates.latency_s(), *record.mutable_latency_s());
  Write(candidates.idle_latency_s(), *record.mutable_idle_latency_s());
  Write(candidates.energy_j(), *record.mutable_energy_j());
  const auto excluded = candidates.excluded();
  if (std::all_of(excluded.begin(), excluded.end(),
                  [](Exclusion exclusion) { return exclusion == Exclusion::kNone; })) {
    return;
  }
  for (const Exclusion exclusion : excluded) {
    record.add_excluded(std::string(ExclusionName(exclusion)));
  }
}

absl::StatusOr<CandidateColumns> ReadCandidates(const v1::ChoiceRecord& record) {
  const int experts = record.score_size();
  const auto check = [&](absl::string_view name, int size) {
    if (size == experts) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("choice.", name, ": wanted ", experts, " experts as of score, got ", size));
  };
  for (const absl::Status& status :
       {check("quality", record.quality_size()), check("weight", record.weight_size()),
        check("latency_s", record.latency_s_size()),
        check("idle_latency_s", record.idle_latency_s_size()),
        check("energy_j", record.energy_j_size()),
        check("excluded", record.excluded_size() == 0 ? experts : record.excluded_size())}) {
    if (!status.ok()) return status;
  }
  CandidateColumns candidates(static_cast<size_t>(experts));
  for (int i = 0; i < experts; ++i) {
    std::optional<Exclusion> excluded = Exclusion::kNone;
    if (record.excluded_size() > 0) excluded = ExclusionOf(record.excluded(i));
    if (!excluded) {
      return absl::InvalidArgumentError(
          absl::StrCat("choice.excluded: unknown reason \"", record.excluded(i), "\""));
    }
    candidates.Set(static_cast<size_t>(i),
                   {record.score(i), record.quality(i), record.weight(i), record.latency_s(i),
                    record.idle_latency_s(i), record.energy_j(i), *excluded});
  }
  return candidates;
}

void WriteAmounts(absl::Span<const Amounts> amounts, v1::ChoiceRecord& record) {
  for (const Resource resource : kOtherResources) {
    v1::ResourceColumn& column = *record.add_amounts();
    column.set_resource(ConfigOf(resource));
    for (const Amounts& of_expert : amounts) column.add_amount(of_expert[resource]);
  }
}

absl::StatusOr<std::vector<Amounts>> ReadAmounts(const v1::ChoiceRecord& record) {
  std::vector<Amounts> amounts;
  for (const v1::ResourceColumn& column : record.amounts()) {
    if (column.amount_size() != record.score_size()) {
      return absl::InvalidArgumentError(absl::StrCat("choice.amounts: wanted ", record.score_size(),
                                                     " experts as of score, got ",
                                                     column.amount_size()));
    }
    amounts.resize(static_cast<size_t>(record.score_size()));
    for (const Resource resource : kOtherResources) {
      if (column.resource() != ConfigOf(resource)) continue;
      for (int i = 0; i < column.amount_size(); ++i) {
        amounts[static_cast<size_t>(i)][resource] = column.amount(i);
      }
    }
  }
  return amounts;
}

void WriteLargest(absl::Span<const double> largest_j, v1::ChoiceRecord& record) {
  Write(largest_j, *record.mutable_largest_j());
}

void WriteTerms(const OtherTerms& terms,
                google::protobuf::RepeatedPtrField<v1::ResourceTerms>& to) {
  for (const Resource resource : kOtherResources) {
    if (!terms[resource].binds()) continue;
    v1::ResourceTerms& out = *to.Add();
    out.set_resource(ConfigOf(resource));
    out.set_price(terms[resource].price);
    out.set_headroom(terms[resource].headroom);
  }
}

OtherTerms ReadTerms(const google::protobuf::RepeatedPtrField<v1::ResourceTerms>& from) {
  OtherTerms terms;
  for (const v1::ResourceTerms& in : from) {
    for (const Resource resource : kOtherResources) {
      if (in.resource() == ConfigOf(resource)) terms[resource] = {in.price(), in.headroom()};
    }
  }
  return terms;
}

void WriteLimits(const SelectionLimits& limits, v1::Choice& choice) {
  choice.set_max_experts(static_cast<uint32_t>(limits.max_experts));
  choice.set_value(limits.value);
  choice.set_price_per_joule(limits.price_per_joule);
  choice.set_latency_budget_s(limits.latency_budget_s);
  choice.set_time_left_s(limits.time_left_s);
  choice.set_energy_cap_j(limits.energy_cap_j);
  choice.set_headroom_j(limits.headroom_j);
  if (limits.largest_j < SelectionLimits::kNone) choice.set_largest_j(limits.largest_j);
  for (size_t i = 0; i < limits.beyond_headroom.size(); ++i) {
    if (limits.beyond_headroom[i] != 0) choice.add_beyond_headroom(static_cast<uint32_t>(i));
  }
  choice.set_min_quality(limits.min_quality);
  choice.set_objective(std::string(ObjectiveName(limits.objective)));
  choice.mutable_forced()->Add(limits.forced.begin(), limits.forced.end());
  choice.set_degrade(limits.degrade);
}

absl::Status ReadLimits(const v1::ChoiceRecord& record, const v1::Choice& choice,
                        LoggedLimits& out) {
  const auto experts = static_cast<size_t>(record.score_size());
  const auto known = static_cast<size_t>(record.largest_j_size());
  if (choice.has_largest_j() && known != experts) {
    return absl::InvalidArgumentError(absl::StrCat("choice.largest_j: wanted ", experts,
                                                   " experts as of score, got ", known));
  }
  if (absl::Status status = CheckExperts("choice.forced", choice.forced(), experts); !status.ok()) {
    return status;
  }
  if (absl::Status status =
          CheckExperts("choice.beyond_headroom", choice.beyond_headroom(), experts);
      !status.ok()) {
    return status;
  }
  SelectionLimits& limits = out.limits;
  limits.max_experts = choice.max_experts();
  limits.value = choice.value();
  limits.price_per_joule = choice.price_per_joule();
  limits.latency_budget_s = choice.latency_budget_s();
  limits.time_left_s = choice.time_left_s();
  limits.energy_cap_j = choice.energy_cap_j();
  limits.headroom_j = choice.headroom_j();
  limits.largest_j = choice.has_largest_j() ? choice.largest_j() : SelectionLimits::kNone;
  limits.largest_of = absl::MakeConstSpan(record.largest_j().data(), known);
  limits.min_quality = choice.min_quality();
  limits.degrade = choice.degrade();
  for (const Objective objective : {Objective::kQuality, Objective::kEnergy, Objective::kLatency}) {
    if (choice.objective() == ObjectiveName(objective)) limits.objective = objective;
  }
  if (choice.objective() != ObjectiveName(limits.objective)) {
    return absl::InvalidArgumentError(
        absl::StrCat("choice.objective: unknown \"", choice.objective(), "\""));
  }
  out.forced.assign(choice.forced().begin(), choice.forced().end());
  limits.forced = out.forced;
  out.beyond_headroom.clear();
  if (choice.beyond_headroom_size() > 0) out.beyond_headroom.resize(experts);
  for (const uint32_t expert : choice.beyond_headroom()) out.beyond_headroom[expert] = 1;
  limits.beyond_headroom = out.beyond_headroom;
  return absl::OkStatus();
}

void WriteSelection(const SelectionResult& selection, bool cascade, v1::Choice& choice) {
  choice.set_cascade(cascade);
  choice.set_verdict(std::string(VerdictName(selection.verdict)));
  choice.set_degraded(std::string(DegradedName(selection.degraded)));
  for (const SelectedExpert& chosen : selection.chosen) {
    choice.add_chosen(static_cast<uint32_t>(chosen.expert));
    choice.add_chosen_weight(chosen.weight);
  }
  choice.set_net_worth(selection.objective);
  choice.set_chosen_quality(selection.quality);
  choice.set_chosen_latency_s(selection.latency_s);
  choice.set_chosen_energy_j(selection.energy_j);
}

void WriteFollowUp(v1::FollowUp::Kind kind, double p_stay,
                   absl::Span<const EscalationOption> options, const EscalationLimits& limits,
                   const Escalation& decided, v1::FollowUp& follow_up) {
  follow_up.set_kind(kind);
  follow_up.set_p_stay(p_stay);
  for (const EscalationOption& option : options) {
    v1::FollowUpOption& out = *follow_up.add_options();
    out.set_expert(static_cast<uint32_t>(option.expert));
    out.set_worth(option.p_right);
    out.set_energy_j(option.energy_j);
    out.set_latency_s(option.latency_s);
    out.set_admissible(option.admissible);
    out.set_largest_j(option.largest_j);
    for (const Resource resource : kOtherResources) {
      if (!(option.amounts()[resource] > 0)) continue;
      v1::ResourceAmount& amount = *out.add_amounts();
      amount.set_resource(ConfigOf(resource));
      amount.set_amount(option.amounts()[resource]);
    }
  }
  WriteTerms(limits.others, *follow_up.mutable_others());
  follow_up.set_value(limits.value);
  follow_up.set_price_per_joule(limits.price_per_joule);
  follow_up.set_time_left_s(limits.time_left_s);
  follow_up.set_request_joules_left(limits.request_joules_left);
  follow_up.set_headroom_j(limits.headroom_j);
  if (limits.largest_j < EscalationLimits::kNone) follow_up.set_largest_j(limits.largest_j);
  follow_up.set_escalations_done(static_cast<uint32_t>(limits.escalations_done));
  follow_up.set_max_escalations(static_cast<uint32_t>(limits.max_escalations));
  if (decided.option) follow_up.set_option(static_cast<uint32_t>(*decided.option));
  follow_up.set_stopped_by_budget(decided.stopped_by_budget);
  follow_up.set_stopped_by_deadline(decided.stopped_by_deadline);
}

void ReadFollowUp(const v1::FollowUp& follow_up, std::vector<EscalationOption>& options,
                  EscalationLimits& limits) {
  options.clear();
  for (const v1::FollowUpOption& in : follow_up.options()) {
    EscalationOption& option = options.emplace_back();
    option.expert = in.expert();
    option.p_right = in.worth();
    option.energy_j = in.energy_j();
    option.latency_s = in.latency_s();
    option.admissible = in.admissible();
    option.largest_j = in.largest_j();
    for (const v1::ResourceAmount& amount : in.amounts()) {
      (amount.resource() == ConfigOf(Resource::kDollars) ? option.dollars
                                                         : option.accelerator_seconds) =
          amount.amount();
    }
  }
  limits.others = ReadTerms(follow_up.others());
  limits.value = follow_up.value();
  limits.price_per_joule = follow_up.price_per_joule();
  limits.time_left_s = follow_up.time_left_s();
  limits.request_joules_left = follow_up.request_joules_left();
  limits.headroom_j = follow_up.headroom_j();
  limits.largest_j = follow_up.has_largest_j() ? follow_up.largest_j() : EscalationLimits::kNone;
  limits.escalations_done = follow_up.escalations_done();
  limits.max_escalations = follow_up.max_escalations();
}

}  // namespace penstock::router
