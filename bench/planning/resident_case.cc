#include "bench/planning/resident_case.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/time/clock.h"
#include "router_service/planning/resident_planner.h"
#include "router_service/planning/resident_problem.h"

namespace penstock::router {
namespace {

constexpr size_t kBuckets = 1 << 15;
constexpr size_t kFolds = 5;
constexpr size_t kPlanRows = 2048;

uint64_t Hash(const std::string& text) {  // FNV-1a
  uint64_t hash = 14695981039346656037ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return hash ^ (hash >> 29);
}

// Words and word pairs of a prompt, each bucket once, and its fold: prompts that begin alike share
// one.
struct Document {
  std::vector<uint32_t> buckets;
  size_t fold = 0;
};

Document Read(const std::string& prompt) {
  Document document;
  std::string word, last, key;
  const auto end_word = [&] {
    if (word.empty()) return;
    document.buckets.push_back(static_cast<uint32_t>(Hash(word) % kBuckets));
    document.buckets.push_back(static_cast<uint32_t>(Hash(last + " " + word) % kBuckets));
    last = std::exchange(word, "");
  };
  for (const char c : prompt) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) {
      end_word();
      continue;
    }
    word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (key.size() < 80) key += word.back();
  }
  end_word();
  std::sort(document.buckets.begin(), document.buckets.end());
  document.buckets.erase(std::unique(document.buckets.begin(), document.buckets.end()),
                         document.buckets.end());
  document.fold = Hash(key) % kFolds;
  return document;
}

// Logistic regression by AdaGrad (Duchi, Hazan and Singer, JMLR 12, 2011), in the order of the
// rows.
class Head {
 public:
  Head() : weight_(kBuckets + 1), square_(kBuckets + 1, 1e-8f) {}
  double Predict(const Document& document) const {
    const double scale = 1 / std::sqrt(1.0 + static_cast<double>(document.buckets.size()));
    double z = weight_[kBuckets];
    for (const uint32_t bucket : document.buckets) z += weight_[bucket] * scale;
    return 1 / (1 + std::exp(-z));
  }
  void Learn(const Document& document, double target) {
    const double scale = 1 / std::sqrt(1.0 + static_cast<double>(document.buckets.size()));
    const double error = Predict(document) - target;
    for (const uint32_t bucket : document.buckets) Step(bucket, error * scale);
    Step(kBuckets, error);
  }

 private:
  void Step(size_t at, double gradient) {
    constexpr double kRate = 0.05, kShrink = 2e-4;
    gradient += kShrink * weight_[at];
    square_[at] += static_cast<float>(gradient * gradient);
    weight_[at] -= static_cast<float>(kRate * gradient / std::sqrt(square_[at]));
  }
  std::vector<float> weight_, square_;
};

// [models, rows], each row by heads that saw no row of its fold.
std::vector<double> PredictOutOfFold(const RoutingData& data,
                                     const std::vector<Document>& documents,
                                     const std::vector<size_t>& models) {
  constexpr int kPasses = 3;
  std::vector<double> predicted;
  for (const size_t model : models) {
    const double* score = data.score.data() + model * data.rows();
    std::vector<double> column(data.rows());
    for (size_t fold = 0; fold < kFolds; ++fold) {
      Head head;
      for (int pass = 0; pass < kPasses; ++pass) {
        for (size_t x = 0; x < data.rows(); ++x) {
          if (documents[x].fold != fold) head.Learn(documents[x], score[x]);
        }
      }
      for (size_t x = 0; x < data.rows(); ++x) {
        if (documents[x].fold == fold) column[x] = head.Predict(documents[x]);
      }
    }
    predicted.insert(predicted.end(), column.begin(), column.end());
  }
  return predicted;
}

struct Realised {
  double score = 0, joules = 0;
};

// The recorded score and joules of what predictions, less the price of mean joules, pick.
Realised Answer(const RoutingData& data, const std::vector<size_t>& models,
                const std::vector<double>& predicted, const std::vector<double>& mean_joules,
                const std::vector<size_t>& set, double price, const std::vector<size_t>& rows) {
  Realised realised;
  for (const size_t x : rows) {
    double best = 0;
    size_t chosen = models.size();
    for (const size_t i : set) {
      const double net = predicted[i * data.rows() + x] - price * mean_joules[i];
      if (net <= best) continue;
      best = net;
      chosen = i;
    }
    if (chosen == models.size()) continue;
    realised.score += data.score[models[chosen] * data.rows() + x];
    realised.joules += data.joules[models[chosen] * data.rows() + x];
  }
  realised.score /= static_cast<double>(rows.size());
  realised.joules /= static_cast<double>(rows.size());
  return realised;
}

// At the least price at which the answers take no more than `joules` a request: where a pacer
// settles.
Realised AnswerWithin(const RoutingData& data, const std::vector<size_t>& models,
                      const std::vector<double>& predicted, const std::vector<double>& mean_joules,
                      const std::vector<size_t>& set, double joules,
                      const std::vector<size_t>& rows) {
  const auto at = [&](double price) {
    return Answer(data, models, predicted, mean_joules, set, price, rows);
  };
  if (const Realised free = at(0); free.joules <= joules) return free;
  double low = 0, high = 1;
  for (int i = 0; i < 40; ++i) {
    const double price = 0.5 * (low + high);
    (at(price).joules > joules ? low : high) = price;
  }
  return at(high);
}

}  // namespace

nlohmann::ordered_json RunResidents(const RoutingData& data, bool instruction_only,
                                    double idle_watts, double requests_per_s,
                                    const SetSearchLimits& search) {
  std::vector<size_t> models;
  for (size_t i = 0; i < data.models.size(); ++i) {
    const double* score = data.score.data() + i * data.rows();
    if ((data.is_chat[i] || !instruction_only) &&
        std::none_of(score, score + data.rows(), [](double v) { return std::isnan(v); })) {
      models.push_back(i);
    }
  }
  std::vector<Document> documents;
  for (const std::string& prompt : data.prompts) documents.push_back(Read(prompt));
  const std::vector<double> predicted = PredictOutOfFold(data, documents, models);

  std::vector<size_t> plan_rows, test_rows;
  for (size_t x = 0; x < data.rows(); ++x)
    (documents[x].fold < 2 ? plan_rows : test_rows).push_back(x);
  // The file goes subject by subject: every so-manieth row, not the first.
  for (size_t i = 0; i < std::min(kPlanRows, plan_rows.size()); ++i) {
    plan_rows[i] = plan_rows[i * plan_rows.size() / std::min(kPlanRows, plan_rows.size())];
  }
  plan_rows.resize(std::min(kPlanRows, plan_rows.size()));

  ResidentRequest request;
  request.experts = models.size();
  request.rows = plan_rows.size();
  std::vector<double> mean_joules;
  double best_score = 0, dear = 0;
  for (size_t i = 0; i < models.size(); ++i) {
    double joules = 0, score = 0;
    for (const size_t x : plan_rows) {
      joules += data.joules[models[i] * data.rows() + x];
      score += data.score[models[i] * data.rows() + x];
    }
    mean_joules.push_back(joules / static_cast<double>(plan_rows.size()));
    if (score > best_score) {
      best_score = score;
      dear = mean_joules.back();
    }
  }
  for (size_t i = 0; i < models.size(); ++i) {
    for (const size_t x : plan_rows) {
      request.values.push_back(predicted[i * data.rows() + x]);
      // What a router knows before the answer: the model's mean.
      request.joules.push_back(mean_joules[i]);
    }
  }
  request.requests_per_s = requests_per_s;
  nlohmann::ordered_json result = nlohmann::ordered_json::array();
  for (const double share : {0.25, 0.5, 0.75}) {
    // Of what the best single model takes for all requests.
    request.watts = share * dear * requests_per_s;
    request.idle_watts.assign(models.size(), idle_watts);
    const RealClock clock;
    const absl::Time start = clock.Now();
    const auto plan = PlanResidents(request, search, clock);
    const double ms = absl::ToDoubleMilliseconds(clock.Now() - start);
    if (!plan.ok()) {
      result.push_back({{"error", std::string(plan.status().message())}});
      continue;
    }
    nlohmann::ordered_json one = {{"idle_watts_each", idle_watts},
                                  {"requests_per_s", requests_per_s},
                                  {"watts", request.watts},
                                  {"watts_share_of_best_single", share},
                                  {"models", models.size()}};
    nlohmann::ordered_json names = nlohmann::ordered_json::array();
    for (const size_t i : plan->experts) names.push_back(data.models[models[i]]);
    const Realised chosen =
        AnswerWithin(data, models, predicted, mean_joules, plan->experts,
                     (request.watts - plan->idle_watts) / requests_per_s, test_rows);
    one["awake"] = names;
    one["predicted"] = plan->value;
    one["score"] = chosen.score;
    one["watts_used"] = plan->idle_watts + chosen.joules * requests_per_s;
    ResidentProblem problem(request);
    const ExpertSet all = ExpertSet::All(models.size());
    Realised everyone;
    if (problem.Feasible(all)) {
      everyone = AnswerWithin(data, models, predicted, mean_joules, all.Members(),
                              (request.watts - problem.IdleWatts(all)) / requests_per_s, test_rows);
      one["all_watts_used"] = problem.IdleWatts(all) + everyone.joules * requests_per_s;
    }
    one["all_predicted"] = plan->all_value;
    one["all_score"] = everyone.score;
    one["points_won"] = 100 * (chosen.score - everyone.score);
    one["says"] = DescribeChoice(*plan);
    one["gap_percent"] = plan->value > 0 ? 100 * plan->gap() / plan->value : 0;
    one["ms"] = ms;
    result.push_back(std::move(one));
  }
  return result;
}

}  // namespace penstock::router
