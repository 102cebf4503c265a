#include "bench/features/embedding_model.h"

#include <cctype>
#include <filesystem>
#include <fstream>

#include "bench/features/prompt_words.h"
#include "common/tensors/safetensors.h"
#include "nlohmann/json.hpp"

namespace penstock::router {
namespace {

constexpr uint64_t kWholeWords = 10000;

// Pieces of a word; empty where it cannot be taken apart.
std::vector<uint32_t> PiecesOf(const std::map<std::string, uint32_t>& vocabulary,
                               const std::string& word) {
  std::vector<uint32_t> pieces;
  for (size_t begin = 0; begin < word.size();) {
    size_t size = word.size() - begin;
    const auto piece = [&] { return (begin > 0 ? "##" : "") + word.substr(begin, size); };
    while (size > 0 && vocabulary.count(piece()) == 0) --size;
    if (size == 0) return {};
    pieces.push_back(vocabulary.at(piece()));
    begin += size;
  }
  return pieces;
}

}  // namespace

EmbeddingModel EmbeddingModel::Make() {
  EmbeddingModel model;
  const auto add = [&model](const std::string& piece) {
    if (model.vocabulary.size() == kTokens) return;
    model.vocabulary.emplace(piece, static_cast<uint32_t>(model.vocabulary.size()));
  };
  add("[UNK]");
  for (const char c : std::string("0123456789.,:;?!()=+")) add(std::string(1, c));
  for (char c = 'a'; c <= 'z'; ++c) {
    add(std::string(1, c));
    add(std::string("##") + c);
    for (char d = 'a'; d <= 'z'; ++d) add(std::string("##") + c + d);
  }
  for (uint64_t rank = 1; rank <= kWholeWords; ++rank) add(PromptWord(rank));
  CounterRandom random(kSeed, 7);
  while (model.vocabulary.size() < kTokens) {
    std::string piece = random.Uniform() < 0.5 ? "##" : "";
    const size_t letters = 3 + random.Below(4);
    for (size_t i = 0; i < letters; ++i) piece += static_cast<char>('a' + random.Below(26));
    add(piece);
  }
  for (size_t i = 0; i < kTokens * kDimension; ++i) {
    model.rows.push_back(static_cast<float>(random.Uniform() - 0.5));
  }
  return model;
}

absl::Status EmbeddingModel::Write(const std::string& folder) const {
  const std::filesystem::path path(folder);
  const nlohmann::json tokenizer = {
      {"version", "1.0"},
      {"normalizer", {{"type", "BertNormalizer"}, {"lowercase", true}}},
      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
      {"model",
       {{"type", "WordPiece"},
        {"unk_token", "[UNK]"},
        {"continuing_subword_prefix", "##"},
        {"max_input_chars_per_word", 100},
        {"vocab", vocabulary}}}};
  std::ofstream(path / "tokenizer.json") << tokenizer.dump();
  std::ofstream(path / "config.json") << R"({"normalize": true})";
  return WriteSafetensors((path / "model.safetensors").string(),
                          {{"embeddings",
                            {static_cast<int64_t>(kTokens), static_cast<int64_t>(kDimension)},
                            rows}},
                          {});
}

std::vector<double> EmbeddingModel::MeanPlainly(const std::string& prompt, size_t& tokens) const {
  std::vector<std::string> words;
  bool in_word = false;
  for (const char c : prompt) {
    const bool letter = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (letter && in_word) {
      words.back() += c;
    } else if (c != ' ') {
      words.emplace_back(1, c);
    }
    in_word = letter;
  }
  std::vector<double> mean(kDimension, 0.0);
  tokens = 0;
  for (const std::string& word : words) {
    for (const uint32_t token : PiecesOf(vocabulary, word)) {
      ++tokens;
      for (size_t j = 0; j < kDimension; ++j) mean[j] += rows[token * kDimension + j];
    }
  }
  double square = 0;
  for (const double value : mean) square += value * value;
  for (double& value : mean) value /= std::sqrt(square);
  return mean;
}

}  // namespace penstock::router
