#include "router_service/features/tokens/text_normalizer.h"

#include <algorithm>
#include <array>

namespace penstock::router {
namespace {

using Kind = NormalizerStep::Kind;

// One step on `from`, into `to`, which is empty; ends early once `to` has `most` bytes.
class Rewriting {
 public:
  Rewriting(const NormalizerStep& step, absl::string_view from, size_t most,
            std::vector<int32_t>& points, std::string& to)
      : step_(step), from_(from), most_(most), points_(points), to_(to) {}

  void Run() {
    switch (step_.kind) {
      case Kind::kBert:
        return Bert();
      case Kind::kForm:
        if (IsAscii(from_)) {
          to_.assign(from_.data(), from_.size());
        } else {
          Normalize(from_, step_.form, points_, to_);
        }
        return;
      case Kind::kLowercase:
        return EachCharacter([this](uint32_t c) { AppendLower(c, to_); });
      case Kind::kStripAccents:
        return EachCharacter([this](uint32_t c) {
          if (!IsMark(c)) AppendUtf8(c, to_);
        });
      case Kind::kStrip:
        return Strip();
      case Kind::kPrepend:
        if (!from_.empty()) to_.append(step_.content);
        Append(from_);
        return;
      case Kind::kReplace:
        return Replace();
      case Kind::kReplaceRuns:
        return ReplaceRuns();
      case Kind::kPrecompiled:
        return step_.map->Apply(from_, most_, to_);
    }
  }

 private:
  void Append(absl::string_view text) { to_.append(text.data(), text.size()); }
  bool Full() const { return to_.size() >= most_; }

  template <typename Function>
  void EachCharacter(const Function& function) {
    for (size_t at = 0; at < from_.size() && !Full();) function(NextCharacter(from_, at));
  }

  // What becomes of an ASCII character; 0: nothing.
  std::array<char, 128> BertTable() const {
    std::array<char, 128> table;
    for (uint32_t c = 0; c < table.size(); ++c) {
      char becomes = static_cast<char>(c);
      if (step_.clean_text) {
        const bool space = c == '\t' || c == '\n' || c == '\r' || c == ' ';
        becomes = space ? ' ' : c < ' ' || c == 0x7F ? '\0' : becomes;
      }
      if (step_.lowercase && c >= 'A' && c <= 'Z') becomes = static_cast<char>(c | 0x20);
      table[c] = becomes;
    }
    return table;
  }

  void Bert() {
    const std::array<char, 128> table = BertTable();
    for (size_t at = 0; at < from_.size() && !Full();) {
      const uint8_t byte = static_cast<uint8_t>(from_[at]);
      if (byte < 0x80) {
        if (table[byte] != 0 || (byte == 0 && !step_.clean_text)) to_.push_back(table[byte]);
        ++at;
        continue;
      }
      // A run without ASCII: order of marks is its own matter.
      points_.clear();
      while (at < from_.size() && static_cast<uint8_t>(from_[at]) >= 0x80) {
        BertCharacter(NextCharacter(from_, at));
      }
      if (step_.strip_accents) OrderMarks(points_);
      for (const int32_t c : points_) {
        if (step_.lowercase) {
          AppendLower(static_cast<uint32_t>(c), to_);
        } else {
          AppendUtf8(static_cast<uint32_t>(c), to_);
        }
      }
    }
  }

  void BertCharacter(uint32_t c) {
    if (step_.clean_text) {
      if (c == 0xFFFD || IsInvisible(c)) return;
      if (IsWhiteSpace(c)) c = ' ';
    }
    const bool apart = step_.cjk_apart && IsCjkIdeograph(c);
    if (apart) points_.push_back(' ');
    if (step_.strip_accents) {
      const size_t size = points_.size();
      AppendDecomposed(c, NormalForm::kNfd, points_);
      points_.erase(std::remove_if(points_.begin() + static_cast<std::ptrdiff_t>(size),
                                   points_.end(),
                                   [](int32_t point) {
                                     return IsNonspacingMark(static_cast<uint32_t>(point));
                                   }),
                    points_.end());
    } else {
      points_.push_back(static_cast<int32_t>(c));
    }
    if (apart) points_.push_back(' ');
  }

  void Strip() {
    size_t begin = 0, end = from_.size();
    for (size_t at = 0; step_.left && at < from_.size(); begin = at) {
      if (!IsWhiteSpace(NextCharacter(from_, at))) break;
    }
    while (step_.right && end > begin) {
      size_t start = end - 1;
      while (start > begin && (static_cast<uint8_t>(from_[start]) & 0xC0) == 0x80) --start;
      size_t at = start;
      if (!IsWhiteSpace(NextCharacter(from_, at))) break;
      end = start;
    }
    Append(from_.substr(begin, end - begin));
  }

  void Replace() {
    for (size_t at = 0; at < from_.size() && !Full();) {
      const size_t found = std::min(from_.find(step_.pattern, at), from_.size());
      Append(from_.substr(at, found - at));
      if (found == from_.size()) return;
      to_.append(step_.content);
      at = found + step_.pattern.size();
    }
  }

  void ReplaceRuns() {
    for (size_t at = 0; at < from_.size() && !Full();) {
      const size_t begin = at;
      size_t characters = 0, end = at;
      for (size_t next = at; next < from_.size(); end = next, ++characters) {
        const uint32_t c = NextCharacter(from_, next);
        if (step_.only_spaces ? c != ' ' : !IsWhiteSpace(c)) break;
      }
      if (characters >= (step_.only_spaces ? 2 : 1)) {
        to_.append(step_.content);
        at = end;
      } else {
        NextCharacter(from_, at);
        Append(from_.substr(begin, at - begin));
      }
    }
  }

  const NormalizerStep& step_;
  const absl::string_view from_;
  const size_t most_;
  std::vector<int32_t>& points_;
  std::string& to_;
};

// At most that many bytes, no character cut.
void CutTo(size_t most, std::string& text) {
  if (text.size() <= most) return;
  while (most > 0 && (static_cast<uint8_t>(text[most]) & 0xC0) == 0x80) --most;
  text.resize(most);
}

}  // namespace

void TextNormalizer::Apply(absl::string_view text, NormalizerScratch& scratch,
                           std::string& to) const {
  const size_t most = 4 * text.size() + kSlack;
  to.clear();
  if (steps_.empty()) {
    to.assign(text.data(), text.size());
    return;
  }
  // The last step writes into `to`.
  bool first = true;
  for (const NormalizerStep& step : steps_) {
    if (!first) std::swap(to, scratch.text);
    to.clear();
    Rewriting(step, first ? text : absl::string_view(scratch.text), most, scratch.points, to).Run();
    CutTo(most, to);
    first = false;
  }
}

}  // namespace penstock::router
