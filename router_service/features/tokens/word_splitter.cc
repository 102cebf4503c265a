#include "router_service/features/tokens/word_splitter.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "router_service/features/tokens/unicode_text.h"

namespace penstock::router {
namespace {

using Kind = SplitterStep::Kind;
using Word = SplitText::Word;

enum class Class : uint8_t { kWord, kSpace, kPunctuation };

Class ClassOf(uint32_t c) {
  return IsWhiteSpace(c) ? Class::kSpace : IsPunctuation(c) ? Class::kPunctuation : Class::kWord;
}

const std::array<Class, 128>& AsciiClasses() {
  static const std::array<Class, 128> classes = [] {
    std::array<Class, 128> made;
    for (uint32_t c = 0; c < made.size(); ++c) made[c] = ClassOf(c);
    return made;
  }();
  return classes;
}

// `spaces` part words, and so does `punctuation`, which is a word by itself.
void SplitByClass(absl::string_view text, Word within, bool spaces, bool punctuation,
                  std::vector<Word>& words) {
  const std::array<Class, 128>& ascii = AsciiClasses();
  size_t begin = within.begin;
  const auto end_word = [&](size_t end) {
    if (end > begin) words.push_back({begin, end});
  };
  const absl::string_view readable = text.substr(0, within.end);
  for (size_t at = within.begin; at < within.end;) {
    const size_t start = at;
    const uint8_t byte = static_cast<uint8_t>(text[at]);
    Class is;
    if (byte < 0x80) {
      is = ascii[byte];
      ++at;
    } else {
      is = ClassOf(NextCharacter(readable, at));
    }
    if (is == Class::kSpace && spaces) {
      end_word(start);
      begin = at;
    } else if (is == Class::kPunctuation && punctuation) {
      end_word(start);
      words.push_back({start, at});
      begin = at;
    }
  }
  end_word(within.end);
}

void Metaspace(const SplitterStep& step, bool beginning, SplitText& split) {
  std::string& to = split.spare_text;
  to.clear();
  for (const Word& word : split.words) {
    const absl::string_view from = split.At(word);
    const bool has_one = absl::StartsWith(from, " ") || absl::StartsWith(from, step.replacement);
    const bool prepend = step.prepend == SplitterStep::Prepend::kAlways ||
                         (step.prepend == SplitterStep::Prepend::kFirst && beginning &&
                          word.begin == 0);
    size_t begin = to.size();
    const auto next_word = [&] {
      if (step.split && to.size() > begin) {
        split.spare_words.push_back({begin, to.size()});
        begin = to.size();
      }
    };
    if (prepend && !has_one) to.append(step.replacement);
    for (size_t at = 0; at < from.size();) {
      const bool space = from[at] == ' ';
      if (space || absl::StartsWith(from.substr(at), step.replacement)) {
        next_word();
        to.append(step.replacement);
        at += space ? 1 : step.replacement.size();
      } else {
        to.push_back(from[at++]);
      }
    }
    if (to.size() > begin) split.spare_words.push_back({begin, to.size()});
  }
  std::swap(split.text, split.spare_text);
}

}  // namespace

void WordSplitter::Split(bool beginning, SplitText& split) const {
  split.words.clear();
  if (split.text.empty()) return;
  split.words.push_back({0, split.text.size()});
  for (const SplitterStep& step : steps_) {
    split.spare_words.clear();
    if (step.kind == Kind::kMetaspace) {
      Metaspace(step, beginning, split);
    } else {
      for (const Word& word : split.words) {
        SplitByClass(split.text, word, step.kind != Kind::kPunctuation,
                     step.kind != Kind::kWhiteSpace, split.spare_words);
      }
    }
    std::swap(split.words, split.spare_words);
  }
}

}  // namespace penstock::router
