#include "router_service/simulation/decisions/choice_replay.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "router_service/dispatch/attempts/cascade.h"
#include "router_service/dispatch/attempts/replacement.h"
#include "router_service/recording/choice_record.h"
#include "router_service/selection/other_prices.h"

namespace penstock::router {
namespace {

class ChoiceReplay {
 public:
  ChoiceReplay(const v1::Decision& decision, LoggedViews views, Mismatches& mismatches)
      : decision_(decision), record_(decision.choice()), views_(views), mismatches_(mismatches) {}

  bool Run() {
    const absl::StatusOr<CandidateColumns> candidates = ReadCandidates(record_);
    if (!candidates.ok()) return Broken(candidates.status());
    if (!Same("candidates, how many", decision_.candidates_size(), record_.score_size())) {
      return false;
    }
    const absl::StatusOr<std::vector<Amounts>> amounts = ReadAmounts(record_);
    if (!amounts.ok()) return Broken(amounts.status());
    for (int i = 0; i < record_.choices_size(); ++i) Choose(*candidates, *amounts, i);
    for (int i = 0; i < record_.follow_ups_size(); ++i) FollowUp(i);
    CheckRuns();
    return same_;
  }

 private:
  template <typename T>
  bool Same(absl::string_view what, const T& logged, const T& replayed) {
    const bool same = mismatches_.Same(decision_.id(), what, logged, replayed);
    same_ = same_ && same;
    return same;
  }
  bool Same(absl::string_view what, int logged, int replayed) {
    return Same(what, static_cast<double>(logged), static_cast<double>(replayed));
  }
  bool Broken(const absl::Status& status) {
    mismatches_.Add(decision_.id(), "choice", std::string(status.message()), "");
    return same_ = false;
  }

  void CheckView(const std::string& at, uint64_t sequence, double price, double headroom,
                 double largest,
                 const google::protobuf::RepeatedPtrField<v1::ResourceTerms>& others) {
    for (const auto& [seen, terms] : views_) {
      if (seen != sequence) continue;
      Same(at + ".price_per_joule", price, terms.price_per_joule);
      Same(at + ".headroom_j", headroom, terms.headroom_j);
      Same(at + ".largest_j", largest, terms.largest_j);
      const OtherTerms logged = ReadTerms(others);
      for (const Resource resource : kOtherResources) {
        if (!logged[resource].binds()) continue;
        const std::string of = absl::StrCat(" a ", UnitName(resource));
        Same(at + ".price" + of, logged[resource].price, terms.others[resource].price);
        Same(at + ".headroom" + of, logged[resource].headroom, terms.others[resource].headroom);
      }
      return;
    }
    Same<absl::string_view>(at + ".view", absl::StrCat(sequence), "the request saw no such one");
  }

  void Choose(const CandidateColumns& scored, const std::vector<Amounts>& amounts, int number) {
    const v1::Choice& choice = record_.choices(number);
    const std::string at =
        record_.choices_size() == 1 ? "choice" : absl::StrCat("choice[", number, "]");
    LoggedLimits logged;
    if (absl::Status status = ReadLimits(record_, choice, logged); !status.ok()) {
      Broken(status);
      return;
    }
    CheckView(at, choice.view(), choice.price_per_joule(), choice.headroom_j(),
              logged.limits.largest_j, choice.others());
    const OtherTerms others = ReadTerms(choice.others());
    CandidateColumns candidates = scored;
    ApplyPrices(others, amounts, logged.limits.value, candidates);
    std::vector<Exclusion> excluded(candidates.excluded().begin(), candidates.excluded().end());
    std::optional<uint32_t> first;
    if (record_.has_first()) first = record_.first();
    SelectionResult result;
    const bool cascade = SelectWithinBudgets(selector_, candidates, amounts, others, logged.limits,
                                             first, absl::MakeSpan(excluded), result);
    Same<absl::string_view>(at + ".verdict", choice.verdict(), VerdictName(result.verdict));
    Same<absl::string_view>(at + ".degraded", choice.degraded(), DegradedName(result.degraded));
    Same(at + ".cascade", choice.cascade(), cascade);
    std::vector<size_t> experts;
    for (const SelectedExpert& chosen : result.chosen) experts.push_back(chosen.expert);
    const std::string logged_experts = absl::StrJoin(choice.chosen(), ", ");
    const std::string chosen_experts = absl::StrJoin(experts, ", ");
    if (Same<absl::string_view>(at + ".chosen", logged_experts, chosen_experts) &&
        Same(at + ".chosen_weight, how many", choice.chosen_weight_size(),
             static_cast<int>(experts.size()))) {
      for (size_t i = 0; i < experts.size(); ++i) {
        Same(absl::StrCat(at, ".chosen_weight[", i, "]"), choice.chosen_weight(static_cast<int>(i)),
             result.chosen[i].weight);
      }
    }
    Same(at + ".net_worth", choice.net_worth(), result.objective);
    Same(at + ".chosen_quality", choice.chosen_quality(), result.quality);
    Same(at + ".chosen_latency_s", choice.chosen_latency_s(), result.latency_s);
    Same(at + ".chosen_energy_j", choice.chosen_energy_j(), result.energy_j);
    // Only the last choice is run.
    if (number + 1 == record_.choices_size()) chosen_ = experts;
  }

  void FollowUp(int number) {
    const v1::FollowUp& follow_up = record_.follow_ups(number);
    const std::string at = absl::StrCat("follow_up[", number, "]");
    std::vector<EscalationOption> options;
    EscalationLimits limits;
    ReadFollowUp(follow_up, options, limits);
    Escalation decided;
    switch (follow_up.kind()) {
      case v1::FollowUp::STAGE:
        decided = DecideStage(options, limits);
        break;
      case v1::FollowUp::REPLACEMENT:
        decided = DecideReplacement(options, limits);
        break;
      default:
        decided = DecideEscalation(follow_up.p_stay(), options, limits);
        break;
    }
    if (follow_up.kind() == v1::FollowUp::REPLACEMENT) {
      const v1::Choice& choice = record_.choices(record_.choices_size() - 1);
      Same(at + ".price_per_joule", follow_up.price_per_joule(), choice.price_per_joule());
      Same(at + ".largest_j", limits.largest_j,
           choice.has_largest_j() ? choice.largest_j() : EscalationLimits::kNone);
    } else {
      CheckView(at, follow_up.view(), follow_up.price_per_joule(), follow_up.headroom_j(),
                limits.largest_j, follow_up.others());
    }
    const auto name = [](std::optional<size_t> option) {
      return option ? absl::StrCat(*option) : std::string("nobody");
    };
    std::optional<size_t> logged;
    if (follow_up.has_option()) logged = follow_up.option();
    Same<absl::string_view>(at + ".option", name(logged), name(decided.option));
    Same(at + ".stopped_by_budget", follow_up.stopped_by_budget(), decided.stopped_by_budget);
    Same(at + ".stopped_by_deadline", follow_up.stopped_by_deadline(), decided.stopped_by_deadline);
    if (!decided.option) return;
    (follow_up.kind() == v1::FollowUp::REPLACEMENT ? replacements_ : escalations_)
        .push_back(options[*decided.option].expert);
  }

  bool IsOneOf(const std::vector<size_t>& experts, const std::string& name) const {
    return std::any_of(experts.begin(), experts.end(), [&](size_t expert) {
      return expert < static_cast<size_t>(decision_.candidates_size()) &&
             decision_.candidates(static_cast<int>(expert)).expert() == name;
    });
  }

  void CheckRuns() {
    for (const v1::Run& run : decision_.runs()) {
      const bool escalation = run.reason() == "escalation";
      // A second attempt may go to another replica of whoever failed.
      const bool known = run.reason() == "chosen" ? IsOneOf(chosen_, run.expert())
                         : escalation             ? IsOneOf(escalations_, run.expert())
                                                  : IsOneOf(chosen_, run.expert()) ||
                                            IsOneOf(escalations_, run.expert()) ||
                                            IsOneOf(replacements_, run.expert());
      if (!known) Same<absl::string_view>("run", run.expert(), "not chosen");
    }
  }

  const v1::Decision& decision_;
  const v1::ChoiceRecord& record_;
  const LoggedViews views_;
  Mismatches& mismatches_;
  bool same_ = true;
  std::vector<size_t> chosen_, escalations_, replacements_;
  Selector selector_;
};

}  // namespace

bool ReplayChoices(const v1::Decision& decision, LoggedViews views, Mismatches& mismatches) {
  return ChoiceReplay(decision, views, mismatches).Run();
}

}  // namespace penstock::router
