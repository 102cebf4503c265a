#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "router_service/features/tokens/tokenizer.h"

namespace penstock::router {

// The mean of the embeddings of a text's tokens, out of a folder in the layout of Model2Vec:
//   z = 1/n sum_t weights[t] embeddings[mapping[t]] over the n tokens t that are known,
// scaled to unit length where config.json says "normalize". All of a text counts, also where
// Model2Vec stops at "max_length" tokens. Immutable, thread-safe.
class StaticEmbeddings {
 public:
  static constexpr size_t kMostTokens = size_t{1} << 20;
  static constexpr size_t kMostDimension = 4096;
  static constexpr size_t kMostBytes = size_t{2} << 30;  // of the table, as fp32

  // Errors name the file, and the tensor or field in it.
  static absl::StatusOr<std::shared_ptr<const StaticEmbeddings>> Open(const std::string& folder);
  // Tells models apart: 16 hex digits, of what the folder's files hold.
  static absl::StatusOr<std::string> Checksum(const std::string& folder);

  // What it works in. Reused by one thread, it stops allocating.
  struct Scratch {
    std::vector<uint32_t> ids;
    TokenizerScratch tokenizer;
  };

  size_t dimension() const { return dimension_; }
  // Appends the text's tokens to scratch.ids.
  void AppendTokens(absl::string_view text, Scratch& scratch) const;
  // Appends the mean of scratch.ids to `z`: zeros where no token is known.
  void AppendMean(const Scratch& scratch, std::vector<float>& z) const;

 private:
  explicit StaticEmbeddings(const TokenizerSettings& settings) : tokenizer_(settings) {}

  const Tokenizer tokenizer_;
  size_t dimension_ = 0;
  bool unit_length_ = false;
  std::vector<float> rows_;     // [rows, dimension]
  std::vector<float> weight_;   // [tokens]
  std::vector<uint32_t> row_;   // [tokens]
};

}  // namespace penstock::router
