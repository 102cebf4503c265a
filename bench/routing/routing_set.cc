#include "routing_set.h"

#include <algorithm>
#include <fstream>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"

namespace penstock::router {
namespace {

template <typename T>
std::vector<T> TakeRows(const std::vector<T>& values, size_t rows,
                        const std::vector<size_t>& taken) {
  std::vector<T> out;
  for (size_t begin = 0; begin < values.size(); begin += rows) {
    for (const size_t row : taken) out.push_back(values[begin + row]);
  }
  return out;
}

std::vector<double> Means(const std::vector<float>& values, size_t rows) {
  std::vector<double> means;
  for (size_t begin = 0; begin < values.size(); begin += rows) {
    double sum = 0;
    for (size_t row = 0; row < rows; ++row) sum += values[begin + row];
    means.push_back(sum / static_cast<double>(rows));
  }
  return means;
}

RoutingSet FromJson(const nlohmann::json& json) {
  RoutingSet set;
  set.name = json.at("set").get<std::string>();
  set.models = json.at("models").get<std::vector<std::string>>();
  set.unit = json.at("unit").get<std::string>();
  set.score_scale = json.at("score_scale");
  if (!json.at("token_price").is_null()) {
    set.token_price = json.at("token_price").get<std::vector<float>>();
  }
  const nlohmann::json& rows = json.at("rows");
  const size_t models = set.models.size();
  set.rows = rows.size();
  set.quality.resize(models * set.rows);
  set.cost.resize(models * set.rows);
  set.tokens.resize(models * set.rows);
  set.answers.resize(models * set.rows);
  bool has_tokens = true, has_answers = false;
  for (size_t row = 0; row < set.rows; ++row) {
    const nlohmann::json& r = rows[row];
    set.prompts.push_back(r.at("prompt").get<std::string>());
    set.in_tokens.push_back(r.at("in_tokens"));
    set.question.push_back(r.at("key").get<std::string>());
    set.group.push_back(r.at("group"));
    set.fold.push_back(r.at("fold"));
    set.test.push_back(r.at("test").get<bool>());
    for (size_t m = 0; m < models; ++m) {
      set.quality[set.At(m, row)] = r.at("scores")[m];
      set.cost[set.At(m, row)] = r.at("costs")[m];
      const nlohmann::json& tokens = r.at("out_tokens")[m];
      has_tokens = has_tokens && !tokens.is_null();
      if (!tokens.is_null()) set.tokens[set.At(m, row)] = tokens;
      const nlohmann::json& answer = r.at("answers")[m];
      has_answers = has_answers || !answer.is_null();
      if (!answer.is_null()) {
        set.answers[set.At(m, row)] = answer.get<std::string>();
      }
    }
  }
  if (!has_tokens) set.tokens.clear();
  if (!has_answers) set.answers.clear();
  return set;
}

}  // namespace

RoutingSet RoutingSet::Subset(const std::vector<size_t>& taken) const {
  RoutingSet out = *this;
  out.rows = taken.size();
  out.prompts = TakeRows(prompts, rows, taken);
  out.in_tokens = TakeRows(in_tokens, rows, taken);
  out.question = TakeRows(question, rows, taken);
  out.group = TakeRows(group, rows, taken);
  out.fold = TakeRows(fold, rows, taken);
  out.test = TakeRows(test, rows, taken);
  out.quality = TakeRows(quality, rows, taken);
  out.cost = TakeRows(cost, rows, taken);
  out.tokens = TakeRows(tokens, rows, taken);
  out.answers = TakeRows(answers, rows, taken);
  return out;
}

void RoutingSet::LimitOutput(float tokens_at_most) {
  for (size_t m = 0; m < models.size(); ++m) {
    for (size_t row = 0; row < rows; ++row) {
      const size_t at = At(m, row);
      if (tokens[at] <= tokens_at_most) continue;
      cost[at] *= tokens_at_most / tokens[at];
      tokens[at] = tokens_at_most;
      quality[at] = 0;
      if (!answers.empty()) answers[at].clear();
    }
  }
}

std::vector<double> RoutingSet::MeanCosts() const { return Means(cost, rows); }

std::vector<double> RoutingSet::MeanQualities() const { return Means(quality, rows); }

absl::StatusOr<RoutingSet> ReadRoutingSet(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError("cannot read " + path);
  try {
    return FromJson(nlohmann::json::parse(file));
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(path + ": " + error.what());
  }
}

}  // namespace penstock::router
