#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace penstock::router {

// One step that splits a text into words, as tokenizer.json has them under "pre_tokenizer".
struct SplitterStep {
  enum class Kind {
    kBert,        // at white space, and punctuation by itself
    kWhiteSpace,  // at white space
    kPunctuation,  // punctuation by itself
    kMetaspace,   // a space is part of the word that follows, as `replacement`
  };
  enum class Prepend { kAlways, kFirst, kNever };
  Kind kind = Kind::kBert;
  // Of kMetaspace: kFirst is for the word that the text begins with.
  std::string replacement = "\xE2\x96\x81";
  Prepend prepend = Prepend::kAlways;
  bool split = true;
};

// A text and the words in it, in order.
struct SplitText {
  struct Word {
    size_t begin = 0, end = 0;
  };
  std::string text;
  std::vector<Word> words;
  // Of the splitter: where a step writes.
  std::string spare_text;
  std::vector<Word> spare_words;

  absl::string_view At(const Word& word) const {
    return absl::string_view(text).substr(word.begin, word.end - word.begin);
  }
};

// Immutable, thread-safe.
class WordSplitter {
 public:
  explicit WordSplitter(std::vector<SplitterStep> steps) : steps_(std::move(steps)) {}

  // Splits split.text, which is UTF-8, and may rewrite it. No word is empty. `beginning`: it is what
  // the request's text begins with.
  void Split(bool beginning, SplitText& split) const;

 private:
  const std::vector<SplitterStep> steps_;
};

}  // namespace penstock::router
