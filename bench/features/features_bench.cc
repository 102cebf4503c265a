// What does it take to read a prompt, and to say of every expert how likely it is right and how long
// its answer will be? Prints rows as JSON.

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/features/embedding_model.h"
#include "bench/features/prompt_words.h"
#include "bench/features/reference_prediction.h"
#include "common/random.h"
#include "nlohmann/json.hpp"
#include "router_service/features/static_embeddings.h"
#include "router_service/features/text_features.h"
#include "router_service/quality/hashed_linear_quality.h"

namespace penstock::router {
namespace {

constexpr uint32_t kBits = 18;
// Buckets that a table of 8,000 exam questions fills.
constexpr size_t kColumns = 168'000;

struct Options {
  std::vector<size_t> bytes = {256, 2048, 16384};
  size_t experts = 12;
  size_t prompts = 256;  // distinct, so that weights come from where they would
  int rounds = 20;
};

HashedLinearQuality::Parameters Model(size_t experts) {
  HashedLinearQuality::Parameters model;
  CounterRandom random(kSeed, 0);
  model.buckets = size_t{1} << kBits;
  for (uint32_t column = 0; column < model.buckets; ++column) {
    if (random.Uniform() * static_cast<double>(model.buckets) < kColumns) {
      model.columns.push_back(column);
    }
  }
  for (size_t i = 0; i < model.columns.size(); ++i) {
    model.idf.push_back(static_cast<float>(1 + 8 * random.Uniform()));
    model.squares.push_back(static_cast<float>(random.Uniform()));
  }
  for (size_t i = 0; i < model.columns.size() * 2 * experts; ++i) {
    model.weight.push_back(static_cast<float>(random.Uniform() - 0.5));
  }
  model.idf_unseen = 9;
  model.lambda = 10;
  for (size_t e = 0; e < experts; ++e) {
    model.experts.push_back("expert-" + std::to_string(e));
    model.mean.push_back(0.5f);
    model.residual.push_back(0.4f);
    model.length_mean.push_back(5);
    model.work_scale.push_back(0.005f);
    model.mean_quality.push_back(0.5f);
    model.mean_joules.push_back(10);
    model.mean_tokens.push_back(200);
  }
  return model;
}

// Written to a folder of its own and opened as a router would.
std::shared_ptr<const StaticEmbeddings> Opened(const EmbeddingModel& model) {
  std::string folder =
      (std::filesystem::temp_directory_path() / "penstock_bench_XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return nullptr;
  const absl::Status written = model.Write(folder);
  const auto opened = StaticEmbeddings::Open(folder);
  std::filesystem::remove_all(folder);
  if (written.ok() && opened.ok()) return *opened;
  std::fprintf(stderr, "%s\n", (written.ok() ? opened.status() : written).ToString().c_str());
  return nullptr;
}

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options),
        plain_embeddings_(EmbeddingModel::Make()),
        embeddings_(Opened(plain_embeddings_)),
        parameters_(Model(options.experts)),
        model_(HashedLinearQuality::FromParameters(parameters_)),
        features_(*TextFeatures::FromSettings({})),
        quality_(options.experts),
        uncertainty_(options.experts),
        work_(options.experts) {}

  // False where the model does not say what the reference says.
  bool Run(size_t bytes, nlohmann::ordered_json& rows) {
    std::vector<std::string> prompts;
    for (size_t i = 0; i < options_.prompts; ++i) prompts.push_back(Prompt(bytes, i));
    double largest = 0;
    for (const std::string& prompt : prompts) {
      const ReferencePrediction wanted = PredictPlainly(parameters_, kBits, prompt);
      features_.ExtractText(prompt, buffer_);
      Predict(buffer_.view());
      for (size_t e = 0; e < options_.experts; ++e) {
        largest = std::max(largest, std::abs(quality_[e] - wanted.quality[e]));
        largest = std::max(largest, std::abs(work_[e] / wanted.work[e] - 1));
      }
    }
    if (largest > 1e-4) {  // 5,000 terms of fp32, errors of 2^-24 each at random
      std::fprintf(stderr, "%zu bytes: %g away from the reference\n", bytes, largest);
      return false;
    }
    size_t tokens = 0;
    if (!EmbeddingsAgree(prompts, tokens)) return false;
    std::vector<FeatureBuffer> extracted(prompts.size());
    size_t entries = 0;
    for (size_t i = 0; i < prompts.size(); ++i) {
      features_.ExtractText(prompts[i], extracted[i]);
      entries += extracted[i].indices.size();
    }
    entries /= prompts.size();
    const auto add = [&](const char* contender, std::function<void(size_t)> once) {
      nlohmann::ordered_json row = {{"prompt_bytes", bytes},       {"entries", entries},
                                    {"tokens", tokens},
                                    {"outputs", 2 * options_.experts}, {"contender", contender}};
      const auto [p50, p99] = Time(prompts.size(), once);
      row["p50_us"] = p50;
      row["p99_us"] = p99;
      rows.push_back(std::move(row));
      return p50;
    };
    add("penstock", [&](size_t i) {
      features_.ExtractText(prompts[i], buffer_);
      Predict(buffer_.view());
    });
    add("extract", [&](size_t i) { features_.ExtractText(prompts[i], buffer_); });
    add("predict", [&](size_t i) { Predict(extracted[i].view()); });
    add("tokenize", [&](size_t i) { Tokenize(prompts[i]); });
    add("embed", [&](size_t i) { Embed(prompts[i]); });
    // The floor: as many bytes as the prompt and its rows of weights have, read once in order.
    const size_t touched = bytes / sizeof(float) + entries * (2 * options_.experts + 2);
    std::vector<float> memory(touched * prompts.size(), 1.0f);
    add("memory_pass", [&](size_t i) {
      float sums[16] = {};
      const float* from = memory.data() + i * touched;
      for (size_t j = 0; j + 16 <= touched; j += 16) {
        for (size_t k = 0; k < 16; ++k) sums[k] += from[j + k];
      }
      sink_ = sums[0] + sums[15];
    });
    add("reference", [&](size_t i) {
      sink_ = static_cast<float>(PredictPlainly(parameters_, kBits, prompts[i]).quality[0]);
    });
    return true;
  }

 private:
  void Predict(const FeatureView& z) {
    model_->Predict(z, {absl::MakeSpan(quality_), absl::MakeSpan(uncertainty_),
                        absl::MakeSpan(work_)});
  }

  void Tokenize(const std::string& prompt) {
    scratch_.ids.clear();
    embeddings_->AppendTokens(prompt, scratch_);
  }
  void Embed(const std::string& prompt) {
    Tokenize(prompt);
    mean_.clear();
    embeddings_->AppendMean(scratch_, mean_);
  }

  // False where embeddings are not what the reference says; `tokens` of a prompt, in the mean.
  bool EmbeddingsAgree(const std::vector<std::string>& prompts, size_t& tokens) {
    if (embeddings_ == nullptr) return false;
    size_t all = 0;
    double largest = 0;
    for (const std::string& prompt : prompts) {
      size_t wanted_tokens = 0;
      const std::vector<double> wanted = plain_embeddings_.MeanPlainly(prompt, wanted_tokens);
      Embed(prompt);
      all += wanted_tokens;
      for (size_t j = 0; j < wanted.size(); ++j) {
        largest = std::max(largest, std::abs(mean_[j] - wanted[j]));
      }
    }
    tokens = all / prompts.size();
    // Sums of some thousand values of fp32, errors of 2^-24 each at random, over their length.
    if (largest <= 1e-5) return true;
    std::fprintf(stderr, "embeddings are %g away from the reference\n", largest);
    return false;
  }

  std::pair<double, double> Time(size_t prompts, const std::function<void(size_t)>& once) {
    std::vector<double> us;
    for (int round = -1; round < options_.rounds; ++round) {
      for (size_t i = 0; i < prompts; ++i) {
        const auto start = std::chrono::steady_clock::now();
        once(i);
        const auto end = std::chrono::steady_clock::now();
        if (round >= 0) us.push_back(std::chrono::duration<double, std::micro>(end - start).count());
      }
    }
    std::sort(us.begin(), us.end());
    return {us[us.size() / 2], us[us.size() * 99 / 100]};
  }

  const Options& options_;
  const EmbeddingModel plain_embeddings_;
  const std::shared_ptr<const StaticEmbeddings> embeddings_;
  StaticEmbeddings::Scratch scratch_;
  std::vector<float> mean_;
  const HashedLinearQuality::Parameters parameters_;
  const std::unique_ptr<const QualityModel> model_;
  const TextFeatures features_;
  FeatureBuffer buffer_;
  std::vector<float> quality_, uncertainty_, work_;
  volatile float sink_ = 0;
};

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("What it takes to read a prompt and to predict every expert's answer to it");
  app.add_option("--bytes", options.bytes, "prompt sizes")->delimiter(',');
  app.add_option("--experts", options.experts, "two outputs each");
  app.add_option("--prompts", options.prompts, "distinct ones");
  app.add_option("--rounds", options.rounds, "measured passes over the prompts");
  CLI11_PARSE(app, argc, argv);
  nlohmann::ordered_json report = {{"seed", kSeed}, {"bits", kBits}, {"columns", kColumns}};
  report["rows"] = nlohmann::ordered_json::array();
  Bench bench(options);
  for (const size_t bytes : options.bytes) {
    if (!bench.Run(bytes, report["rows"])) return 1;
  }
  std::printf("%s\n", report.dump(1).c_str());
  return 0;
}

}  // namespace
}  // namespace penstock::router

int main(int argc, char** argv) { return penstock::router::Main(argc, argv); }
