#pragma once

#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/util/json_util.h"
#include "router_service/simulation/decisions/decision_replay.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"
#include "tests/router_service/recording/logged_lines.h"

namespace penstock::router {

// A router that writes its decision log, and the replay of it.
class LoggedDecisions : public RouterFixture {
 protected:
  std::string Path() { return dir_.File("decisions"); }
  std::string LogYaml() { return absl::StrCat("decision_log: {directory: ", Path(), "}\n"); }

  // Two experts, learnt prices of three budgets, two tenants.
  void BuildPriced(const std::string& more = "") {
    Build(absl::StrCat(kTwoExperts, R"(  budgets:
  - {resource: JOULES, amount: 0.4, per: REQUEST, bound_tenants: true}
  - {resource: JOULES, amount: 100, per: HOUR, tenant: zeta, hard: true}
)",
                       more, "budgets: [{resource: JOULES, amount: 60, per: SECOND}]\n",
                       LogYaml()));
  }

  // Joules, confidences, failures and limits that differ from request to request.
  void Drive(int requests) {
    CounterRandom random(3, 1);
    for (int i = 0; i < requests; ++i) {
      clock_.Advance(absl::Microseconds(static_cast<int64_t>(random.Below(30'000))));
      const float sure = 0.5f + 0.5f * static_cast<float>(random.Uniform());
      Target("small:1").AnswerWith(MakeReply(1, sure, 0.05 + 0.1 * random.Uniform()));
      Target("big:1").AnswerWith(MakeReply(1, 0.99f, 0.8 + 0.5 * random.Uniform()));
      if (random.Below(10) == 0) {
        Target("small:1").AnswerWith(
            InferReply{.status = absl::InternalError("broken"), .body = {}, .trailers = {}});
      }
      std::vector<OutParameter> parameters;
      if (random.Below(4) == 0)
        parameters.push_back({"penstock_energy_budget_j", 0.05 + 1.2 * random.Uniform()});
      if (random.Below(4) == 0)
        parameters.push_back({"penstock_latency_budget_ms", 2 + 20 * random.Uniform()});
      if (random.Below(5) == 0) parameters.push_back({"penstock_min_quality", 0.9});
      if (random.Below(6) == 0) parameters.push_back({"penstock_experts", std::string("big")});
      Ask(MakeRequest(1, std::move(parameters)),
          Rights({.forced_experts = true}, random.Below(3) == 0 ? "zeta" : "acme"));
    }
  }

  // The router stops, which completes the log.
  std::vector<std::string> Lines() {
    pipeline_ = nullptr;
    pacer_ = nullptr;
    log_ = nullptr;
    return LinesIn(Path());
  }

  static DecisionReplayReport Replay(const std::vector<std::string>& lines) {
    DecisionReplay replay;
    for (const std::string& line : lines) replay.Add(line);
    return replay.Finish();
  }
  static std::string First(const DecisionReplayReport& report) {
    if (report.mismatches.first().empty()) return "";
    const Mismatch& first = report.mismatches.first().front();
    return absl::StrCat(first.where, " ", first.what, ": ", first.logged, " / ", first.replayed);
  }
};

// Decisions of a log's lines that came to a choice.
inline std::vector<v1::Decision> ChosenOf(const std::vector<std::string>& lines) {
  std::vector<v1::Decision> decisions;
  for (const std::string& line : lines) {
    v1::Decision decision;
    if (IsEventLine(line) || !google::protobuf::util::JsonStringToMessage(line, &decision).ok() ||
        decision.choice().choices().empty()) {
      continue;
    }
    decisions.push_back(std::move(decision));
  }
  return decisions;
}

}  // namespace penstock::router
