#include "cli/train/train_report_json.h"

namespace penstock::cli {

nlohmann::ordered_json TrainReportJson(const router::TrainReport& report) {
  nlohmann::ordered_json json = {{"rows", report.rows},
                                 {"train_rows", report.train_rows},
                                 {"heldout_rows", report.heldout_rows},
                                 {"seed", report.seed},
                                 {"cost_unit", report.cost_unit},
                                 {"regret", report.partial ? nlohmann::ordered_json(nullptr)
                                                           : nlohmann::ordered_json(report.regret)},
                                 {"gate_minus_random", report.gate_minus_random},
                                 {"gate_minus_random_error", report.gate_minus_random_error},
                                 {"minimum_k", report.minimum_k},
                                 {"files", report.files},
                                 {"warnings", report.warnings}};
  for (const router::ExpertReport& expert : report.experts) {
    json["experts"].push_back({{"name", expert.name},
                               {"quality", expert.quality},
                               {"mean_cost", expert.mean_cost},
                               {"brier", expert.fit.brier},
                               {"ece", expert.fit.ece},
                               {"tau", expert.tau}});
  }
  for (const router::PolicyReport& policy : report.policies) {
    json["policies"].push_back({{"name", policy.name},
                                {"quality", policy.quality},
                                {"standard_error", policy.standard_error},
                                {"mean_cost", policy.mean_cost}});
  }
  if (report.gate) {
    const router::GateReport& gate = *report.gate;
    const auto difference = [](const router::GateDifference& minus) {
      return nlohmann::ordered_json{
          {"difference", minus.difference}, {"low", minus.low}, {"high", minus.high}};
    };
    json["gate"] = {{"name", gate.name},
                    {"quality", gate.quality},
                    {"standard_error", gate.standard_error},
                    {"experts_asked", gate.experts_asked},
                    {"minus_topk_softmax", difference(gate.minus_topk_softmax)},
                    {"minus_random", difference(gate.minus_random)}};
  }
  if (report.cascade_policy) {
    const router::CascadePolicyReport& policy = *report.cascade_policy;
    const auto point = [](const router::QualityAtCost& at) {
      nlohmann::ordered_json figures;
      figures["quality"] = at.quality;
      if (at.mean_cost) figures["mean_cost"] = *at.mean_cost;
      return figures;
    };
    nlohmann::ordered_json& of_policy = json["cascade_policy"];
    of_policy = {{"policy", policy.policy}, {"stages", policy.stages}, {"rows", policy.rows}};
    if (policy.rows > 0) {
      of_policy["served"] = point(policy.served);
      of_policy["standard_error"] = policy.standard_error;
      of_policy["answered"] = policy.answered;
      of_policy["asked"] = policy.asked;
      of_policy["first"] = point(policy.first);
      of_policy["last"] = point(policy.last);
    }
    if (policy.by_price) of_policy["by_price"] = *policy.by_price;
    if (policy.by_chance) of_policy["by_chance"] = *policy.by_chance;
  }
  if (report.count) {
    json["count"] = {{"mean_count", report.count->mean_count},
                     {"quality", report.count->quality},
                     {"fixed", report.count->fixed}};
  }
  if (report.slow_check) {
    const router::SlowCheckReport& slow = *report.slow_check;
    json["slow_check"] = {{"first", slow.first}, {"verifier", slow.verifier}, {"price", slow.price}};
    for (const router::SlowCheckPoint& point : slow.points) {
      json["slow_check"]["points"].push_back({{"delta", point.delta},
                                              {"checked", point.checked},
                                              {"quality", point.quality},
                                              {"mean_cost", point.mean_cost}});
    }
  }
  if (report.cascade_risk) {
    const router::CascadeRiskReport& risk = *report.cascade_risk;
    const auto point = [](const router::CascadeRiskPoint& at) {
      return nlohmann::ordered_json{
          {"lead", at.lead}, {"risk", at.risk}, {"accepted", at.accepted}};
    };
    json["cascade_risk"] = {{"stages", risk.stages},
                            {"rows", risk.rows},
                            {"alpha", risk.alpha},
                            {"always_escalates", risk.always_escalates}};
    if (risk.rows > 0) {
      json["cascade_risk"]["before"] = point(risk.before);
      json["cascade_risk"]["after"] = point(risk.after);
    }
  }
  return json;
}

}  // namespace penstock::cli
