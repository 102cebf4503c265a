#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "router_service/features/tokens/precompiled_map.h"
#include "router_service/features/tokens/unicode_text.h"

namespace penstock::router {

// One step that rewrites a text before it is split, as tokenizer.json has them under "normalizer".
struct NormalizerStep {
  enum class Kind {
    kBert,
    kForm,         // NFC, NFD, NFKC, NFKD
    kLowercase,
    kStripAccents,
    kStrip,
    kPrepend,
    kReplace,      // `pattern`
    kReplaceRuns,  // of white space, or of two spaces and more
    kPrecompiled,  // SentencePiece's own table
  };
  Kind kind = Kind::kLowercase;
  NormalForm form = NormalForm::kNfc;
  // Of BERT's.
  bool clean_text = true, cjk_apart = true, strip_accents = true, lowercase = true;
  bool left = true, right = true;  // of kStrip
  bool only_spaces = false;        // of kReplaceRuns: two spaces and more, not any white space
  std::string pattern, content;
  std::shared_ptr<const PrecompiledMap> map;
};

// What it works in. Reused by one thread, it stops allocating.
struct NormalizerScratch {
  std::string text;
  std::vector<int32_t> points;
};

// Immutable, thread-safe.
class TextNormalizer {
 public:
  explicit TextNormalizer(std::vector<NormalizerStep> steps) : steps_(std::move(steps)) {}

  // Overwrites `to`. `text` is UTF-8. What grows beyond four times its size and kSlack is cut there.
  void Apply(absl::string_view text, NormalizerScratch& scratch, std::string& to) const;
  static constexpr size_t kSlack = 1024;

 private:
  const std::vector<NormalizerStep> steps_;
};

}  // namespace penstock::router
