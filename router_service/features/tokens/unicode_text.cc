#include "router_service/features/tokens/unicode_text.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace penstock::router {
namespace {

utf8proc_category_t CategoryOf(uint32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool Composes(NormalForm form) { return form == NormalForm::kNfc || form == NormalForm::kNfkc; }

int OptionsOf(NormalForm form) {
  const bool compatible = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  return UTF8PROC_STABLE | (Composes(form) ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
         (compatible ? UTF8PROC_COMPAT : 0);
}

int ClassOf(int32_t c) { return utf8proc_get_property(c)->combining_class; }

}  // namespace

bool IsAscii(absl::string_view text) {
  size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, sizeof(word));
    if ((word & 0x8080808080808080ull) != 0) return false;
  }
  for (; at < text.size(); ++at) {
    if (static_cast<uint8_t>(text[at]) >= 0x80) return false;
  }
  return true;
}

uint32_t NextCharacter(absl::string_view text, size_t& at) {
  utf8proc_int32_t c = 0;
  const utf8proc_ssize_t size =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                       static_cast<utf8proc_ssize_t>(text.size() - at), &c);
  if (size <= 0) {
    ++at;
    return 0xFFFD;
  }
  at += static_cast<size_t>(size);
  return static_cast<uint32_t>(c);
}

void AppendUtf8(uint32_t c, std::string& text) {
  std::array<utf8proc_uint8_t, 4> bytes;
  const utf8proc_ssize_t size =
      utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes.data());
  text.append(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(size));
}

bool IsWhiteSpace(uint32_t c) {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  if (c == 0x85) return true;  // NEL, a control
  const utf8proc_category_t category = CategoryOf(c);
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
         category == UTF8PROC_CATEGORY_ZP;
}

bool IsPunctuation(uint32_t c) {
  if (c < 0x80) {
    return c > ' ' && c < 0x7F && !(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
  }
  const utf8proc_category_t category = CategoryOf(c);
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

bool IsInvisible(uint32_t c) {
  const utf8proc_category_t category = CategoryOf(c);
  return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
         category == UTF8PROC_CATEGORY_CO;
}

bool IsMark(uint32_t c) {
  const utf8proc_category_t category = CategoryOf(c);
  return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

bool IsNonspacingMark(uint32_t c) { return CategoryOf(c) == UTF8PROC_CATEGORY_MN; }

bool IsCjkIdeograph(uint32_t c) {
  // The sixth begins 0x100 late in the tokenizers library too, and models were made with it.
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

void AppendLower(uint32_t c, std::string& text) {
  if (c == 0x130) {  // the only one that becomes two whatever stands around it
    text += "i\xCC\x87";
    return;
  }
  AppendUtf8(static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))), text);
}

void AppendDecomposed(uint32_t c, NormalForm form, std::vector<int32_t>& points) {
  constexpr size_t kMost = 18;  // U+FDFA
  const size_t size = points.size();
  points.resize(size + kMost);
  int boundary = 0;
  const utf8proc_ssize_t made = utf8proc_decompose_char(
      static_cast<utf8proc_int32_t>(c), points.data() + size, static_cast<utf8proc_ssize_t>(kMost),
      static_cast<utf8proc_option_t>(OptionsOf(form)), &boundary);
  points.resize(size + std::clamp<size_t>(static_cast<size_t>(std::max<utf8proc_ssize_t>(made, 0)),
                                          0, kMost));
}

void OrderMarks(std::vector<int32_t>& points) {
  for (size_t begin = 0; begin < points.size();) {
    if (ClassOf(points[begin]) == 0) {
      ++begin;
      continue;
    }
    size_t end = begin + 1;
    while (end < points.size() && ClassOf(points[end]) != 0) ++end;
    if (end - begin > 1) {
      std::stable_sort(points.begin() + static_cast<std::ptrdiff_t>(begin),
                       points.begin() + static_cast<std::ptrdiff_t>(end),
                       [](int32_t a, int32_t b) { return ClassOf(a) < ClassOf(b); });
    }
    begin = end;
  }
}

void Normalize(absl::string_view text, NormalForm form, std::vector<int32_t>& points,
               std::string& to) {
  points.clear();
  for (size_t at = 0; at < text.size();) AppendDecomposed(NextCharacter(text, at), form, points);
  OrderMarks(points);
  size_t size = points.size();
  if (Composes(form) && size > 0) {
    size = static_cast<size_t>(std::max<utf8proc_ssize_t>(
        0, utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(size),
                                    static_cast<utf8proc_option_t>(OptionsOf(form)))));
  }
  to.clear();
  for (size_t i = 0; i < size; ++i) AppendUtf8(static_cast<uint32_t>(points[i]), to);
}

}  // namespace penstock::router
